// The table of the row kernels: softmax (softmax.cpp), normalisation (norm.cpp) and cross-entropy
// (cross_entropy.cpp), forward and backward.
//
// Each kernel makes several passes over one row while the row is in the cache: maximum, sum of
// exponentials, result; or mean, variance, result. These passes are faster than a single-pass
// online method, which must recompute exponentials to correct itself. Prefetches cover the next
// rows, because the hardware prefetcher stops at page boundaries. Backward passes may write dx by
// non-temporal stores.
#include "ops/kernels/rows/rows.hpp"

#include "ops/kernels/rows/row_functions.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

template <class T>
constexpr RowFunctions<T> functions = {
    softmax<T, false>, softmax_backward<T>,    softmax<T, true>,         log_softmax_backward<T>,
    norm<T, true>,     norm_backward<T, true>, norm<T, false>,           norm_backward<T, false>,
    norm_combine<T>,   cross_entropy<T>,       cross_entropy_backward<T>};

}  // namespace

extern const RowKernels table_RowKernels;
const RowKernels table_RowKernels = {functions<float>, functions<double>};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
