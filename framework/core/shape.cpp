#include "framework/core/shape.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "framework/core/error.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

Shape::Shape(std::span<const int64_t> dims) {
  for (const int64_t dim : dims) push_back(dim);
}

void Shape::push_back(int64_t dim) {
  if (rank_ == max_rank) {
    throw Error({.kind = ErrorKind::shape,
                 .op = "shape",
                 .detail = fmt::format("more than {} dimensions", max_rank)});
  }
  if (dim < 0) {
    throw Error({.kind = ErrorKind::shape,
                 .op = "shape",
                 .detail = fmt::format("dimension {} is negative: {}", rank_, dim)});
  }
  dims_[static_cast<size_t>(rank_++)] = dim;
}

void Shape::throw_size() const {
  throw Error({.kind = ErrorKind::shape,
               .op = "shape",
               .detail = fmt::format("{} has too many elements, or a negative dimension",
                                     to_string(*this))});
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.begin(), shape.end(), ", "));
}

Strides contiguous_strides(const Shape& shape) {
  Strides strides{};
  int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[static_cast<size_t>(i)] = stride;
    // If another axis is 0, this product may exceed int64. Nothing then uses the stride.
    stride = static_cast<int64_t>(static_cast<uint64_t>(stride) * static_cast<uint64_t>(shape[i]));
  }
  return strides;
}

bool is_contiguous(const Shape& shape, const Strides& strides) {
  if (shape.size() == 0) return true;
  int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] != 1 && strides[static_cast<size_t>(i)] != stride) return false;
    stride *= shape[i];
  }
  return true;
}

bool broadcast(const Shape& a, const Shape& b, Shape& out) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Shape result = longer;
  for (int i = 1; i <= shorter.rank(); ++i) {
    if (longer[-i] == shorter[-i]) continue;
    if (longer[-i] != 1 && shorter[-i] != 1) return false;
    result[-i] = longer[-i] == 1 ? shorter[-i] : longer[-i];
  }
  out = result;
  return true;
}

}  // namespace v0
}  // namespace rapt
