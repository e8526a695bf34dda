// Arrays that hold values: the inputs and the results of a graph.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Allocates uninitialised memory, aligned to a cache line and padded to whole cache lines. Throws
/// OutOfMemory.
std::shared_ptr<std::byte> allocate(int64_t bytes);
/// Returns a size as text: "1.5 MB".
std::string bytes_text(int64_t bytes);

/// The size in bytes up to which a tape and its user get separate copies of an array. Larger arrays
/// are shared. Their fingerprints reveal when they are written to.
inline constexpr int64_t most_copied_bytes = 4096;
/// Returns a hash of a sample of the bytes, never 0. It changes when an array is filled anew. It
/// may stay the same when only a few elements of a large array change.
uint64_t fingerprint(const void* data, int64_t bytes);

/// An array of one element type. A copy shares the memory; clone() makes an independent array.
/// Strides may be arbitrary, so that transposing or slicing needs no copy.
class Tensor {
 public:
  /// Makes an empty handle.
  Tensor() = default;
  /// Allocates a contiguous array with uninitialised elements.
  explicit Tensor(const Shape& shape, DType dtype = DType::float32);
  /// Wraps memory that somebody else owns. The handle `memory` keeps it alive.
  Tensor(std::shared_ptr<std::byte> memory, void* data, DType dtype, const Shape& shape,
         const Strides& strides);

  /// True unless the handle is empty.
  explicit operator bool() const { return memory_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  DType dtype() const { return dtype_; }
  int64_t size() const { return shape_.size(); }
  bool is_contiguous() const { return rapt::is_contiguous(shape_, strides_); }
  /// Returns the address of the first element.
  void* bytes() const { return data_; }
  /// Returns the owner of the memory, which is shared by all copies of the handle.
  const std::shared_ptr<std::byte>& memory() const { return memory_; }

  /// Returns the elements of a contiguous tensor. Throws Error if the element type differs or the
  /// tensor is not contiguous.
  template <class T>
  std::span<T> data() const {
    return {static_cast<T*>(checked_data(dtype_of<T>)), static_cast<size_t>(size())};
  }
  /// Returns the only element. Throws Error if there is not exactly one.
  double item() const;
  /// Returns the elements in row-major order, converted to T. Throws Error for a value beyond the
  /// range of T if T is an integer type other than int32_t.
  template <class T>
  std::vector<T> to_vector() const {
    static_assert(Element<T> || std::is_integral_v<T>,
                  "to_vector: the elements become float, double, bool or a whole number");
    if constexpr (Element<T>) {
      return elements<T>();
    } else {
      std::vector<T> result;
      result.reserve(static_cast<size_t>(size()));
      for (const double value : elements<double>()) {  // double holds every element exactly
        check_range(value, static_cast<double>(std::numeric_limits<T>::min()),
                    std::numeric_limits<T>::digits);
        result.push_back(static_cast<T>(value));
      }
      return result;
    }
  }

  /// Returns a contiguous copy with memory of its own, of the same or another element type. A
  /// conversion to int32 rounds towards 0. It replaces values beyond the range of int32 by the
  /// nearest int32, and NaN by 0.
  Tensor clone() const { return to(dtype_); }
  Tensor to(DType dtype) const;
  /// Returns the same elements in another shape. Throws Error if the sizes differ. Copies only if
  /// the strides make it necessary.
  Tensor reshape(const Shape& shape) const;
  /// Copies the values of a tensor of the same shape into this tensor's memory. Converts the
  /// element type where it differs.
  void copy_from(const Tensor& other) const;

 private:
  void* checked_data(DType dtype) const;
  // T has no constraint, as for tensor_of() below: clang++ 19 would put it into the symbol's name,
  // and g++ would not.
  template <class T>
  std::vector<T> elements() const;
  /// Throws Error unless lowest <= trunc(value) < 2^digits.
  static void check_range(double value, double lowest, int digits);

  std::shared_ptr<std::byte> memory_;
  void* data_ = nullptr;
  Shape shape_;
  Strides strides_{};
  DType dtype_ = DType::float32;
};

namespace detail {

template <class T>
Tensor tensor_of(std::span<const T> values, const Shape& shape);
[[noreturn]] void fail_int32(const std::string& value, size_t place);

}  // namespace detail

/// Makes a tensor of the given values in row-major order. Integers of other types (int64_t,
/// uint8_t) become int32. Throws Error if the sizes differ or an integer does not fit in int32.
template <class T>
Tensor tensor(std::span<const T> values, const Shape& shape) {
  static_assert(Element<T> || std::is_integral_v<T>,
                "tensor: the values have to be float, double, bool or whole numbers");
  if constexpr (Element<T>) {
    return detail::tensor_of(values, shape);
  } else {
    std::vector<int32_t> converted;
    converted.reserve(values.size());
    for (const T value : values) {
      if (!std::in_range<int32_t>(+value)) {  // + promotes characters to int
        detail::fail_int32(std::to_string(+value), converted.size());
      }
      converted.push_back(static_cast<int32_t>(value));
    }
    return detail::tensor_of(std::span<const int32_t>(converted), shape);
  }
}
template <class T>
Tensor tensor(const std::vector<T>& values, const Shape& shape) {
  if constexpr (std::same_as<T, bool>) {
    const auto copy = std::make_unique<bool[]>(values.size());  // vector<bool> has no data()
    std::copy(values.begin(), values.end(), copy.get());
    return tensor(std::span<const bool>(copy.get(), values.size()), shape);
  } else {
    return tensor(std::span<const T>(values), shape);
  }
}
template <class T>
Tensor tensor(std::initializer_list<T> values) {
  return tensor(std::span<const T>(values.begin(), values.size()),
                {static_cast<int64_t>(values.size())});
}

/// Makes a tensor of zeros.
Tensor zeros(const Shape& shape, DType dtype = DType::float32);
/// Makes a tensor whose elements all have the given value. For int32, a fraction is rounded towards
/// 0. Throws Error if int32 cannot hold the value.
Tensor full(const Shape& shape, double value, DType dtype = DType::float32);

}  // namespace v0
}  // namespace rapt
