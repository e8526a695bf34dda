#include "framework/core/random.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "framework/core/random_bits.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

Key Key::fold(uint64_t i) const {
  return {mix_bits(seed ^ mix_bits(path + i)), mix_bits(path) + i + 1};
}

uint32_t Key::bits(uint64_t index) const { return random_bits(seed, path, index); }

namespace {

template <class Draw>
Tensor draw(const char* op, const Shape& shape, DType dtype, Draw&& value) {
  if (!is_float(dtype)) {
    throw Error({.kind = ErrorKind::type,
                 .op = op,
                 .detail = fmt::format("expected float32 or float64, got {}", name(dtype))});
  }
  Tensor result(shape, dtype);
  const auto n = static_cast<uint64_t>(result.size());
  by_float_type(dtype, [&]<class T>() {
    auto* const elements = static_cast<T*>(result.bytes());
    for (uint64_t i = 0; i < n; ++i) elements[i] = static_cast<T>(value(i));
  });
  return result;
}

}  // namespace

Tensor uniform(Key key, const Shape& shape, double low, double high, DType dtype) {
  return draw("uniform", shape, dtype,
              [&](uint64_t i) { return low + (high - low) * key.uniform(i); });
}

Tensor normal(Key key, const Shape& shape, double mean, double stddev, DType dtype) {
  // Box and Muller (1958): two uniform numbers give two normal ones.
  return draw("normal", shape, dtype, [&](uint64_t i) {
    const uint64_t pair = i / 2 * 2;
    const double radius = std::sqrt(-2 * std::log(1 - key.uniform(pair)));
    const double angle = 2 * std::numbers::pi * key.uniform(pair + 1);
    return mean + stddev * radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
  });
}

std::vector<int64_t> permutation(Key key, int64_t n) {
  check_at_least("permutation", "n", n, 0);
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = n - 1; i > 0; --i) {  // Fisher and Yates
    std::swap(order[static_cast<size_t>(i)],
              order[static_cast<size_t>(key.below(i + 1, static_cast<uint64_t>(i)))]);
  }
  return order;
}

}  // namespace v0
}  // namespace rapt
