// Matrix products.
#pragma once

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"
#include "ops/activation.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Computes the matrix product of the last two axes with NumPy's rules: [.., m, k] x [.., k, n]
/// gives [.., m, n], and leading axes broadcast. A vector on the left is a row and one on the right
/// is a column; the result lacks that axis. Operands may be transposed or other views; they are not
/// copied.
///
/// Throws Error if inner sizes differ, leading axes do not broadcast, or types differ.
Var matmul(const Arg& a, const Arg& b);

/// Computes activation(x W' + bias) in one pass: x [.., in], weight [out, in] as in PyTorch, bias
/// [out]. Returns [.., out]. An empty `bias` adds nothing.
///
/// Throws Error if sizes or types differ.
Var linear(const Arg& x, const Arg& weight, const Arg& bias,
           Activation activation = Activation::none);
/// Does the same without a bias.
Var linear(const Arg& x, const Arg& weight, Activation activation = Activation::none);

}  // namespace v0
}  // namespace rapt
