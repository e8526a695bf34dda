#include "ops/attention/score.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/shape/gather.hpp"
#include "ops/shape/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

ScoreFunction operator|(const ScoreFunction& first, const ScoreFunction& second) {
  if (!first) return second;
  if (!second) return first;
  return [first, second](const Score& s) {
    Score next = s;
    next.value = first(s);
    return second(next);
  };
}

namespace score {
namespace {

/// Returns 2^(-8 (i + 1) / n).
float alibi_slope(int64_t i, int64_t n) {
  return static_cast<float>(std::exp2(-8.0 * static_cast<double>(i + 1) / static_cast<double>(n)));
}

/// Returns the number of distances that have a bucket of their own. It is the first distance with a
/// shared bucket.
int64_t single_distances(int64_t buckets, const T5Options& options) {
  return buckets / (options.bidirectional ? 4 : 2);
}

int64_t t5_bucket(int64_t place, int64_t buckets, const T5Options& options) {
  int64_t first = 0;
  int64_t distance = std::max<int64_t>(-place, 0);
  if (options.bidirectional) {
    buckets /= 2;
    first = place > 0 ? buckets : 0;
    distance = std::abs(place);
  }
  const int64_t single = buckets / 2;
  if (distance < single) return first + distance;
  // Computed in float, as in the models that learned such tables. The rounding decides where
  // buckets begin.
  const auto exact = static_cast<float>(single);
  const float share = std::log(static_cast<float>(distance) / exact) /
                      std::log(static_cast<float>(options.max_distance) / exact);
  const auto beyond = static_cast<int64_t>(share * static_cast<float>(buckets - single));
  return first + std::min(single + beyond, buckets - 1);
}

}  // namespace

Tensor alibi_slopes(int64_t heads) {
  if (heads < 0) {
    throw Error({.op = "alibi_slopes", .detail = fmt::format("there are no {} heads", heads)});
  }
  Tensor slopes({heads}, DType::float32);
  int64_t whole = 1;
  while (2 * whole <= heads) whole *= 2;
  float* out = slopes.data<float>().data();
  for (int64_t i = 0; i < heads; ++i) {
    out[i] = i < whole ? alibi_slope(i, whole) : alibi_slope(2 * (i - whole), 2 * whole);
  }
  return slopes;
}

ScoreFunction alibi(const Arg& slopes) {
  return
      [slopes](const Score& s) { return s.value - Indexed(slopes)[s.head] * abs(s.key - s.query); };
}

ScoreFunction alibi() {
  return [](const Score& s) { return alibi(alibi_slopes(s.value.size(1)).to(s.value.dtype()))(s); };
}

ScoreFunction softcap(double limit) {
  if (!(limit > 0)) {
    throw Error(
        {.op = "softcap", .detail = fmt::format("the limit has to be above 0, it is {}", limit)});
  }
  return [limit](const Score& s) { return tanh(s.value * (1 / limit)) * limit; };
}

ScoreFunction temperature(const Arg& temperature) {
  return [temperature](const Score& s) {
    const Var t = as_var(temperature);
    return t.rank() == 0 ? s.value / t : s.value / t[s.head];
  };
}

Tensor t5_buckets(const Tensor& places, int64_t buckets, const T5Options& options) {
  if (buckets < 4 || options.max_distance <= single_distances(buckets, options)) {
    throw Error({.op = "t5_buckets",
                 .detail = fmt::format("{} buckets do not reach to a distance of {}", buckets,
                                       options.max_distance)});
  }
  Tensor result = places.clone();
  for (int32_t& place : result.data<int32_t>()) {
    place = static_cast<int32_t>(t5_bucket(place, buckets, options));
  }
  return result;
}

ScoreFunction t5_bias(const Arg& table, const T5Options& options) {
  return [table, options](const Score& s) {
    const Var array = as_var(table);  // [buckets, Hq]
    const int64_t queries = s.value.size(2), keys = s.value.size(3);
    if (array.rank() != 2 || array.size(1) != s.value.size(1)) {
      throw Error(
          {.kind = ErrorKind::shape,
           .op = "t5_bias",
           .detail = fmt::format("expected a table [buckets, {}] for {} heads, got {}",
                                 s.value.size(1), s.value.size(1), to_string(array.shape())),
           .place = place_of(table.where)});
    }
    // The bias of each distance is looked up once here. The scores then read it from this small
    // array.
    Tensor distances({std::max<int64_t>(queries + keys - 1, 1)},
                     DType::int32);  // key - query
    int32_t place = static_cast<int32_t>(1 - keys);
    for (int32_t& distance : distances.data<int32_t>()) distance = place++;
    const Tensor buckets = t5_buckets(distances, array.size(0), options);
    const Var of_distance = contiguous(transpose(take(array, buckets, 0)));  // [Hq, distances]
    return s.value + of_distance[s.head][s.key - s.query + (keys - 1)];
  };
}

ScoreFunction relative_bias(const Arg& table) {
  return [table](const Score& s) {
    const Var array = as_var(table);  // [Hq, 2 w + 1]
    if (array.rank() != 2 || array.size(0) != s.value.size(1) || array.size(1) % 2 == 0) {
      throw Error(
          {.kind = ErrorKind::shape,
           .op = "relative_bias",
           .detail = fmt::format("expected a table [{}, 2 w + 1] for {} heads, got {}",
                                 s.value.size(1), s.value.size(1), to_string(array.shape())),
           .place = place_of(table.where)});
    }
    return s.value + array[s.head][s.key - s.query + array.size(1) / 2];
  };
}

}  // namespace score
}  // namespace v0
}  // namespace rapt
