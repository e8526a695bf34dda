// Rotary positions: queries and keys turned by their places, so that scores depend on distances.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// The table that rotary() reads, [length, depth]: in row t the cosines of the angles
/// t / base^(2i / depth), i < depth / 2, and then their sines. Throws Error for an odd depth.
Tensor rotary_table(int64_t length, int64_t depth, double base = 10000,
                    DType dtype = DType::float32);

/// Turns every pair (x[i], x[i + D/2]) of rows x [B, T, .., D] by the angles of the row's place
/// (Su et al. 2021, section 3.2.2; the pairs are those of GPT-NeoX and Llama, where Su et al. take
/// neighbours: the same up to an order of a projection's rows). Row t of sentence b stands at place
/// first[b] + t of the table [L, D]; `first` is int32 [B] or [1], or empty for 0. The result has
/// x's shape; x is read where it is. The table gets no gradient.
///
/// Throws Error where shapes or types do not fit, and for a place outside the table.
Var rotary(const Arg& x, const Arg& table, const Arg& first = Var());

}  // namespace RAPT_API
