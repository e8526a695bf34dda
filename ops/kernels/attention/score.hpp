// Score functions inside fused attention: a pointwise program that runs over tiles of scores.
//
// Registers hold one value for a whole row of a tile (narrow: a vector of equal lanes), or a value
// for each of its keys (wide). Steps are sorted by how often they have to run: what does not depend
// on the key, or not on the query, is not computed for every pair.
#pragma once

#include "ops/kernels/elementwise/pointwise_program.hpp"

namespace rapt::kernels {

inline constexpr uint16_t no_register = 0xffff;

/// An element of a captured array, or a row of elements, by computed indices. Indices are rounded
/// to the nearest whole number and cut at the ends of their axis.
struct ScoreAccess {
  enum Kind : uint8_t {
    splat,   // no index depends on the key: into a narrow register
    row,     // one index is base + sign * key, `base` in a narrow register
    gather,  // indices in wide registers
  };
  Kind kind;
  const void* data;
  int axes;
  uint16_t index[max_dims];  // registers; of a row's key axis that of its base, or none for 0
  int64_t size[max_dims], stride[max_dims];
  int key_axis, sign;
  uint16_t low, high;  // narrow registers that cut a row's index as well, or no_register
  // Where the gradient goes: into the task's sums, whose array is contiguous; no_register: nowhere.
  uint16_t gradient;
  int64_t sums;
  int64_t sums_stride[max_dims];
};

struct ScoreStep {
  Code code;
  int16_t access;  // -1: an instruction
  uint16_t out, a, b, c;
};

/// Plain data that the caller owns.
struct ScoreProgram {
  // Sorted into what runs for each tile, into narrow registers, and for each tile into wide ones;
  // for each row into narrow ones; for each row into wide ones, up to the score; and from there on
  // to its derivatives. Each entry is the end of one sort.
  const ScoreStep* steps;
  int tile_end, keys_end, row_end, forward_end, count;

  const uint8_t* is_wide;  // by register
  const int16_t* slot;     // its place among the narrow or wide registers
  int registers, narrow_slots, wide_slots;
  const ScoreAccess* accesses;
  int access_count;

  // no_register: not used. The queries' numbers, and their places among the keys, which are
  // `query_shift` more.
  uint16_t value, batch, head, query, query_number, key, upstream;
  int64_t query_shift;
  uint16_t out;
  uint16_t value_gradient;  // no_register: a forward program
  bool keeps_value;         // whether steps behind the score read the value
  int64_t sums;             // elements of a task's sums
};

}  // namespace rapt::kernels
