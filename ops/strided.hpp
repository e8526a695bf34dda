// Copies between arrays of any strides, for the operators' forward functions.
#pragma once

#include <rapt/framework/op.hpp>

namespace rapt {

/// to = from, of the same shape and type, in parallel.
void copy(const ForwardContext& c, const TensorView& from, const TensorView& to);
/// to += from, of the same shape and type, in parallel.
void accumulate(const ForwardContext& c, const TensorView& from, const TensorView& to);
/// Input i is copied to to[i], for all i, in parallel. The places must not overlap.
void copy_pieces(const ForwardContext& c, std::span<const TensorView> to);
/// A contiguous array of zeros.
void fill_zeros(const ForwardContext& c, const TensorView& to);

}  // namespace rapt
