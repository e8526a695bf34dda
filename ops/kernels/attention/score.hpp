// Score functions inside fused attention: a pointwise program that runs over tiles of scores.
//
// A register is either narrow or wide. A narrow one holds one value for a whole row of a tile, as a
// vector of equal lanes. A wide one holds one value per key of the row. Steps are sorted by how
// often they must run, so that values independent of the key or the query are not recomputed for
// every pair.
#pragma once

#include "ops/kernels/elementwise/pointwise_program.hpp"

namespace rapt::kernels {

inline constexpr uint16_t no_register = 0xffff;

/// A load of one element or one row of a captured array by computed indices. Indices are rounded to
/// the nearest integer and clamped to their axis.
struct ScoreAccess {
  enum Kind : uint8_t {
    splat,   // no index depends on the key; loads into a narrow register
    row,     // one index is base + sign * key, with `base` in a narrow register
    gather,  // indices are in wide registers
  };
  Kind kind;
  const void* data;
  int axes;
  uint16_t index[max_dims];  // registers; for the key axis that of `base`, or none for 0
  int64_t size[max_dims], stride[max_dims];
  int key_axis, sign;
  uint16_t low, high;  // narrow registers with extra clamp limits for a row's index, or no_register
  // Register whose values are the gradient, added to the task's contiguous sums; or no_register.
  uint16_t gradient;
  int64_t sums;
  int64_t sums_stride[max_dims];
};

struct ScoreStep {
  Code code;
  int16_t access;  // -1 for an instruction
  uint16_t out, a, b, c;
};

/// A compiled score function. Plain data owned by the caller.
struct ScoreProgram {
  // The steps in five consecutive groups: per tile into narrow registers; per tile into wide ones;
  // per row into narrow ones; per row into wide ones, up to the score; and the derivatives. Each of
  // the fields below is the end of a group.
  const ScoreStep* steps;
  int tile_end, keys_end, row_end, forward_end, count;

  const uint8_t* is_wide;  // indexed by register
  const int16_t* slot;     // index of the register among the narrow or wide ones
  int registers, narrow_slots, wide_slots;
  const ScoreAccess* accesses;
  int access_count;

  // Registers of built-in values, or no_register if not used. `query_number` is the query's index.
  // `query` is its position among the keys, which is query_shift larger.
  uint16_t value, batch, head, query, query_number, key, upstream;
  int64_t query_shift;
  uint16_t out;
  uint16_t value_gradient;  // no_register in a forward program
  bool keeps_value;         // true if steps after the score read the value
  int64_t sums;             // number of elements in a task's sums
};

}  // namespace rapt::kernels
