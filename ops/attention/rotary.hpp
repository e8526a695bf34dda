// Rotary position embedding: rotates queries and keys by their positions, so that scores depend on
// relative positions.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns the table [length, depth] that rotary() reads. Row t holds the cosines of the angles t /
/// base^(2i / depth), i < depth / 2, followed by their sines. Throws Error if depth is odd.
Tensor rotary_table(int64_t length, int64_t depth, double base = 10000,
                    DType dtype = DType::float32);

/// Rotates every pair (x[i], x[i + D/2]) of the rows x [B, T, .., D] by the angles of the row's
/// position (Su et al. 2021, section 3.2.2). The pairs are those of GPT-NeoX and Llama. Su et al.
/// pair adjacent elements, which differs only by a permutation of the projection's rows. Row t of
/// sentence b has the position first[b] + t in the table [L, D]. `first` is int32 [B] or [1]; an
/// empty Var stands for 0. The result has x's shape. x may be a strided view. The table gets no
/// gradient.
///
/// Throws Error if shapes or types do not fit, or if a position is outside the table.
Var rotary(const Arg& x, const Arg& table, const Arg& first = Var());

}  // namespace v0
}  // namespace rapt
