// Kernels of the matrix product. gemm_arguments.hpp describes their arguments.
#pragma once

#include "ops/kernels/gemm/gemm_arguments.hpp"
#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

template <class T>
struct GemmKernels {
  /// Returns the number of elements of a packed copy of B that several products may share. Returns
  /// 0 if this product does not pack B. Otherwise the size depends on n and k only.
  int64_t (*packed_size)(const Gemm<T>&);
  /// pack_parts() returns the number of parts into which packing is cut; it depends on n only.
  /// pack() packs parts first .. last - 1 of B.
  int64_t (*pack_parts)(const Gemm<T>&);
  void (*pack)(const Gemm<T>&, T* packed, int64_t first, int64_t last);
  /// Plans a product. Reads sizes, strides, whether there is a bias and whether B is packed. Reads
  /// no element.
  GemmPlan (*plan)(const Gemm<T>&);
  /// Runs tasks first .. last - 1 of the plan. Neighbouring tasks share packed data, so one call
  /// for several tasks is cheaper than several calls. Concurrent calls need separate scratch.
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

/// Returns the number of run() calls that a plan's tasks are distributed to. `threads` threads
/// share the product, which is done `repeats` times on different operands. One or two threads make
/// one call each, because neighbouring tasks share packed data. More threads make two calls each,
/// so that one late thread delays the others less. A call has at least about 15 microseconds of
/// arithmetic.
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

/// Computes the whole product in the calling thread. `scratch` has plan_gemm(g).scratch_bytes
/// bytes.
template <class T>
void gemm(const Gemm<T>& g, void* scratch) {
  const GemmPlan plan = plan_gemm(g);
  run_gemm(g, plan, scratch, 0, plan.tasks);
}

}  // namespace rapt::kernels
