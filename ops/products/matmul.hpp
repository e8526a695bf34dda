// Matrix products.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"
#include "ops/activation.hpp"

namespace rapt RAPT_API {

/// The matrix product of the last two axes, with NumPy's rules: [.., m, k] x [.., k, n] gives
/// [.., m, n], leading axes broadcast, and a vector is a row on the left, a column on the right,
/// whose axis the result lacks. Transposed operands and other views are read where they are.
///
/// Throws Error where inner sizes differ, leading axes do not broadcast, or types differ.
Var matmul(const Arg& a, const Arg& b);

/// activation(x W' + bias) in one pass: x [.., in], weight [out, in] as in PyTorch, bias [out];
/// gives [.., out]. `bias` may be an empty Var: then none is added.
///
/// Throws Error where sizes or types differ.
Var linear(const Arg& x, const Arg& weight, const Arg& bias,
           Activation activation = Activation::none);
/// The same without a bias.
Var linear(const Arg& x, const Arg& weight, Activation activation = Activation::none);

/// Whether a value is a product A' B of two matrices, summed over their rows: what flows to a
/// weight from one of its uses.
bool is_weight_product(const Var& var);

/// The sum of such products of one shape, as a single product over all their rows: a recurrent
/// network's weight gets one large product in place of one a step. Those with many rows are added
/// up.
Var merge_weight_products(std::span<const Var> products);

}  // namespace RAPT_API
