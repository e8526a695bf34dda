#include "models/layers/positions.hpp"

#include <fmt/format.h>

#include <cmath>

#include "framework/core/options.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/scope.hpp"
#include "ops/attention/rotary.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/shape/embedding.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/axes.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Returns the numbers 0 .. count - 1 in the given shape and type.
Tensor counted(int64_t count, const Shape& shape, DType dtype) {
  Tensor numbers({count}, DType::int32);
  int32_t next = 0;
  for (int32_t& number : numbers.data<int32_t>()) number = next++;
  return numbers.to(dtype).reshape(shape);
}

}  // namespace

Tensor sinusoidal_positions(int64_t length, int64_t width) {
  check_at_least("sinusoidal_positions", "length", length, 0);
  check_at_least("sinusoidal_positions", "width", width, 0);
  Tensor table({length, width});
  float* to = table.data<float>().data();
  for (int64_t t = 0; t < length; ++t) {
    for (int64_t i = 0; i < width; ++i) {
      const double power = static_cast<double>(i / 2 * 2) / static_cast<double>(width);
      const double angle = static_cast<double>(t) / std::pow(10000.0, power);
      *to++ = static_cast<float>(i % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
  return table;
}

Positions::Positions(PositionKind kind, int64_t length, int64_t width, Key key) : length_(length) {
  if (kind == PositionKind::sinusoidal || kind == PositionKind::learned) {
    check_at_least("Positions", "length", length, 1);
    check_at_least("Positions", "width", width, 1);
  }
  if (kind == PositionKind::sinusoidal) table = sinusoidal_positions(length, width);
  if (kind == PositionKind::learned) weight = Parameter(normal(key, {length, width}, 0, 0.02));
}

Var Positions::table_of(DType dtype) const { return weight ? as_var(weight) : cast(table, dtype); }

Var Positions::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  const Var var = as_var(x);
  if (!weight && !table) return var;
  const Var all = table_of(var.dtype());
  if (var.rank() != 3 || var.size(2) != all.size(1)) {
    fail("Positions",
         fmt::format("expected x [B, T, {}], got {}", all.size(1), to_string(var.shape())),
         x.where);
  }
  if (var.size(1) > length_) {
    fail("Positions",
         fmt::format("{} places in {}, there is room for {}", var.size(1), to_string(var.shape()),
                     length_),
         x.where);
  }
  return var + slice(all, 0, 0, var.size(1));
}

Var Positions::at(const Arg& x, const Arg& place) const {
  const Scope scope(*this, x.where);
  if (!weight && !table) return as_var(x);
  const Var var = as_var(x);
  return var + embedding(place, table_of(var.dtype()));  // adds a row [1, C]
}

RelativePositions::RelativePositions(const RelativePositionOptions& o)
    : kind(o.kind), bidirectional(o.bidirectional) {
  check_at_least("RelativePositions", "heads", o.heads, 1);
  if (kind == PositionKind::rotary) {
    check_at_least("RelativePositions", "depth", o.depth, 1);
    check_at_least("RelativePositions", "length", o.length, 1);
  }
  if (kind == PositionKind::rotary) rotations = rotary_table(o.length, o.depth);
  if (kind == PositionKind::learned_alibi) slopes = Parameter(score::alibi_slopes(o.heads));
  if (kind == PositionKind::t5) table = Parameter(zeros({buckets, o.heads}));
}

Var RelativePositions::rotate(const Var& x, const Var& first) const {
  if (kind != PositionKind::rotary) return x;
  const Var angles = as_var(rotations);
  return rotary(x, angles.dtype() == x.dtype() ? angles : cast(angles, x.dtype()), first);
}

ScoreFunction RelativePositions::score() const {
  if (kind == PositionKind::alibi) return score::alibi();
  if (kind == PositionKind::learned_alibi) return score::alibi(slopes);
  if (kind == PositionKind::t5) return score::t5_bias(table, {.bidirectional = bidirectional});
  return {};
}

Var RelativePositions::bias_at(const Var& place, int64_t heads, int64_t keys, DType dtype) const {
  const ScoreFunction function = score();
  if (!function) return {};
  Score nothing;  // evaluates the score function at a score of 0
  nothing.value = as_var(zeros({1, heads, 1, keys}, dtype));
  nothing.batch = as_var(zeros({1, 1, 1, 1}, dtype));
  nothing.head = as_var(counted(heads, {1, heads, 1, 1}, dtype));
  nothing.query = reshape(cast(place, dtype), {1, 1, 1, 1});
  nothing.key = as_var(counted(keys, {1, 1, 1, keys}, dtype));
  return reshape(function(nothing), {heads, keys});
}

}  // namespace v0
}  // namespace rapt
