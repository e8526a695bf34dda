// The kernels of matrix products; gemm_arguments.hpp says what they are given.
#pragma once

#include "ops/kernels/gemm/gemm_arguments.hpp"
#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

template <class T>
struct GemmKernels {
  /// Elements of the copy of B that the product makes as it goes, and that several may share: 0
  /// where it makes none. Otherwise it follows from n and k.
  int64_t (*packed_size)(const Gemm<T>&);
  /// The copy is made in so many parts, which follow from n; and these, first .. last - 1 of them.
  int64_t (*pack_parts)(const Gemm<T>&);
  void (*pack)(const Gemm<T>&, T* packed, int64_t first, int64_t last);
  /// Reads sizes, strides, whether there is a bias and whether B is packed; no element.
  GemmPlan (*plan)(const Gemm<T>&);
  /// Runs tasks first .. last - 1 of the plan's. Neighbours cost less in one call than in several,
  /// as they share what is packed. Calls at the same time need scratch of their own.
  void (*run)(const Gemm<T>&, const GemmPlan&, void* scratch, int64_t first, int64_t last);
};

struct GemmTable {
  GemmKernels<float> f32;
  GemmKernels<double> f64;
};

RAPT_KERNEL_TABLE(GemmTable)

template <class T>
GemmPlan plan_gemm(const Gemm<T>& g) {
  return kernels_for<GemmTable, T>().plan(g);
}

template <class T>
void run_gemm(const Gemm<T>& g, const GemmPlan& plan, void* scratch, int64_t first, int64_t last) {
  kernels_for<GemmTable, T>().run(g, plan, scratch, first, last);
}

/// To how many calls of run() a plan's tasks go, where `threads` share the product, done `repeats`
/// times on other operands: neighbours share what is packed. One or two threads make one
/// call each; of more, one that is late would keep many waiting, so they make two. A call has some
/// 15 microseconds of arithmetic at least.
template <class T>
int64_t calls_for(const Gemm<T>& g, const GemmPlan& plan, int64_t repeats, int threads) {
  if (threads <= 1) return 1;
  constexpr double least = 1 << 20;
  const double operations = 2.0 * static_cast<double>(g.m) * static_cast<double>(g.n) *
                            static_cast<double>(g.k * g.batch) / static_cast<double>(plan.tasks);
  const int64_t all = plan.tasks * repeats;
  const auto together = static_cast<int64_t>(least / (operations + 1)) + 1;
  const int64_t most = (all + together - 1) / together;
  const int64_t wanted = threads > 2 ? 2 * threads : threads;
  return most < wanted ? most : wanted;
}

/// All of it in the calling thread. `scratch` has plan_gemm(g).scratch_bytes.
template <class T>
void gemm(const Gemm<T>& g, void* scratch) {
  const GemmPlan plan = plan_gemm(g);
  run_gemm(g, plan, scratch, 0, plan.tasks);
}

}  // namespace rapt::kernels
