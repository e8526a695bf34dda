// How the attention kernels run a score program: score_tile.cpp has the loops.
#pragma once

#include "ops/kernels/attention/score.hpp"
#include "ops/kernels/simd/math.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

/// The registers of a running program, and what a task adds the captured arrays' gradients to.
template <class T>
struct ScoreMemory {
  T* narrow = nullptr;         // [narrow_slots, lanes]
  T* wide = nullptr;           // [wide_slots, row]
  int32_t* offsets = nullptr;  // [row]
  int64_t row = 0;             // elements of a tile's row
  T* sums = nullptr;           // [program.sums], or null
};

/// Starts a tile of head h of sentence b; columns [begin, end), whole vectors, of keys `key` and
/// on.
template <class T>
void begin_score_tile(const ScoreProgram& p, const ScoreMemory<T>& m, int64_t b, int64_t h,
                      int64_t key, int64_t begin, int64_t end);

/// Turns a row of scaled scores into the program's result; whole vectors.
template <class T>
void run_score_row(const ScoreProgram& p, const ScoreMemory<T>& m, int64_t query, int64_t key,
                   T* row, int64_t begin, int64_t end);

/// Behind run_score_row for the same row: turns the results' gradients into those of the scaled
/// scores, and adds up those of what was captured. Where the weight is 0 nothing passes.
template <class T>
void run_score_gradient(const ScoreProgram& p, const ScoreMemory<T>& m, int64_t key,
                        const T* weights, T* grads, int64_t begin, int64_t end);

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
