// Interface between the attention kernels and score programs. score_tile.cpp has the loops.
#pragma once

#include "ops/kernels/attention/score.hpp"
#include "ops/kernels/simd/math.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// Memory of a running program: its registers, and the sums for the gradients of captured arrays.
template <class T>
struct ScoreMemory {
  T* narrow = nullptr;         // [narrow_slots, lanes]
  T* wide = nullptr;           // [wide_slots, row]
  int32_t* offsets = nullptr;  // [row]
  int64_t row = 0;             // leading dimension of a tile
  T* sums = nullptr;           // [program.sums], or null
};

/// Starts a tile of head h of sentence b. Its columns [begin, end) are whole vectors and count from
/// key `key`.
template <class T>
void begin_score_tile(const ScoreProgram& p, const ScoreMemory<T>& m, int64_t b, int64_t h,
                      int64_t key, int64_t begin, int64_t end);

/// Replaces a row of scaled scores by the program's result. Works on whole vectors.
template <class T>
void run_score_row(const ScoreProgram& p, const ScoreMemory<T>& m, int64_t query, int64_t key,
                   T* row, int64_t begin, int64_t end);

/// Replaces the gradients of the results by those of the scaled scores, and adds up the gradients
/// of captured arrays. Must follow run_score_row for the same row. Where the weight is 0, the
/// gradient is 0.
template <class T>
void run_score_gradient(const ScoreProgram& p, const ScoreMemory<T>& m, int64_t key,
                        const T* weights, T* grads, int64_t begin, int64_t end);

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
