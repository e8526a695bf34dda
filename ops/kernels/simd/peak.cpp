// Loops that measure the peak rates of the processor.
//
// Multiply-adds run on independent accumulators in registers, which gives the peak arithmetic rate.
// Reading adds up vectors in independent accumulators. Writing and copying use plain vector stores.
// The results are returned so that the compiler cannot remove the loops.
#include "ops/kernels/simd/peak.hpp"

#include "ops/kernels/simd/row_loop.hpp"
#include "ops/kernels/simd/simd.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

// Two ports with a latency of up to 5 cycles need 10 independent sums. With the two factors, 12
// sums still fit the 16 registers of SSE and AVX.
constexpr int sums = 12;

float multiply_add_rounds(int64_t rounds) {
  // The values stay near 1, so there are no denormals and no infinities.
  const Vec<float> factor(0.999f), term(0.001f);
  Vec<float> sum[sums];
#pragma GCC unroll 12
  for (int i = 0; i < sums; ++i) sum[i] = Vec<float>(1.0f + 0.001f * static_cast<float>(i));
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < sums; ++i) sum[i] = multiply_add(sum[i], factor, term);
  }
  Vec<float> total = sum[0];
#pragma GCC unroll 12
  for (int i = 1; i < sums; ++i) total += sum[i];
  return sum_lanes(total);
}

float read(const float* from, int64_t n) {
  constexpr int parts = 8;
  Vec<float> sum[parts];
#pragma GCC unroll 8
  for (int i = 0; i < parts; ++i) sum[i] = Vec<float>(0.0f);
  int64_t j = 0;
  for (; j + parts * lanes<float> <= n; j += parts * lanes<float>) {
#pragma GCC unroll 8
    for (int i = 0; i < parts; ++i) sum[i] += load(from + j + i * lanes<float>);
  }
  for_each_vector<float>(n - j,
                         [&](int64_t k, auto access) { sum[0] += access.get(from + j + k); });
  Vec<float> total = sum[0];
#pragma GCC unroll 8
  for (int i = 1; i < parts; ++i) total += sum[i];
  return sum_lanes(total);
}

void write(float* to, float value, int64_t n) {
  const Vec<float> v(value);
  for_each_vector<float>(n, [&](int64_t j, auto access) { access.put(to + j, v); });
}

void copy(const float* from, float* to, int64_t n) {
  for_each_vector<float>(n,
                         [&](int64_t j, auto access) { access.put(to + j, access.get(from + j)); });
}

}  // namespace

extern const PeakKernels table_PeakKernels;
const PeakKernels table_PeakKernels = {2 * sums * lanes<float>, multiply_add_rounds, read, write,
                                       copy};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
