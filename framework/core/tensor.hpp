// Arrays that hold values: what goes into a graph and what comes out of it.
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

namespace rapt RAPT_API {

/// Uninitialised memory for n bytes, aligned to a cache line and padded to whole ones. Throws
/// OutOfMemory.
std::shared_ptr<std::byte> allocate(int64_t bytes);
/// "1.5 MB".
std::string bytes_text(int64_t bytes);

/// Arrays of at most so many bytes are copied where a tape and its user would share them. Larger
/// ones are shared, and writing to them is noticed by their fingerprints.
inline constexpr int64_t most_copied_bytes = 4096;
/// A hash of some of the bytes, never 0. It changes when an array is filled anew, but may not
/// when a few elements of a large one change.
uint64_t fingerprint(const void* data, int64_t bytes);

/// An array of one element type. A copy shares the memory (clone() makes another); strides may be
/// any, so that a transposed or sliced array needs no copy.
class Tensor {
 public:
  /// An empty handle.
  Tensor() = default;
  /// Uninitialised, contiguous.
  explicit Tensor(const Shape& shape, DType dtype = DType::float32);
  /// Memory that somebody else owns; `memory` keeps it alive.
  Tensor(std::shared_ptr<std::byte> memory, void* data, DType dtype, const Shape& shape,
         const Strides& strides);

  explicit operator bool() const { return memory_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  DType dtype() const { return dtype_; }
  int64_t size() const { return shape_.size(); }
  bool is_contiguous() const { return rapt::is_contiguous(shape_, strides_); }
  void* bytes() const { return data_; }
  const std::shared_ptr<std::byte>& memory() const { return memory_; }

  /// The elements of a contiguous tensor. Throws Error for another element type or for strides.
  template <class T>
  std::span<T> data() const {
    return {static_cast<T*>(checked_data(dtype_of<T>)), static_cast<size_t>(size())};
  }
  /// The one element. Throws Error where there are more or less.
  double item() const;
  /// The elements in row-major order, converted. Throws Error for a value beyond the range of T,
  /// where T is a whole number of another size than int32_t.
  template <class T>
  std::vector<T> to_vector() const {
    static_assert(Element<T> || std::is_integral_v<T>,
                  "to_vector: the elements become float, double, bool or a whole number");
    if constexpr (Element<T>) {
      return elements<T>();
    } else {
      std::vector<T> result;
      result.reserve(static_cast<size_t>(size()));
      for (const double value : elements<double>()) {  // which holds every element exactly
        check_range(value, static_cast<double>(std::numeric_limits<T>::min()),
                    std::numeric_limits<T>::digits);
        result.push_back(static_cast<T>(value));
      }
      return result;
    }
  }

  /// A contiguous copy of its own, of the same or another element type. To int32: rounded towards
  /// 0; what is beyond int32's range becomes its nearest number, and NaN becomes 0.
  Tensor clone() const { return to(dtype_); }
  Tensor to(DType dtype) const;
  /// The same elements in another shape. Throws Error where the sizes differ; copies where the
  /// strides leave no other way.
  Tensor reshape(const Shape& shape) const;
  /// Copies the values of a tensor of the same shape into this one's memory, converting.
  void copy_from(const Tensor& other) const;

 private:
  void* checked_data(DType dtype) const;
  template <Element T>
  std::vector<T> elements() const;
  /// Throws Error unless lowest <= value, without its fraction, < 2^digits.
  static void check_range(double value, double lowest, int digits);

  std::shared_ptr<std::byte> memory_;
  void* data_ = nullptr;
  Shape shape_;
  Strides strides_{};
  DType dtype_ = DType::float32;
};

namespace detail {

template <Element T>
Tensor tensor_of(std::span<const T> values, const Shape& shape);
[[noreturn]] void fail_int32(const std::string& value, size_t place);

}  // namespace detail

/// A tensor of the given values in row-major order. Whole numbers of other types (int64_t, uint8_t)
/// become int32. Throws Error where the sizes differ, and for a number that is no int32.
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
      if (!std::in_range<int32_t>(+value)) {  // + makes a number of a character
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
    const auto copy = std::make_unique<bool[]>(values.size());  // vector<bool> has no array
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

Tensor zeros(const Shape& shape, DType dtype = DType::float32);
/// Throws Error where int32 cannot hold the value; a fraction is rounded towards 0.
Tensor full(const Shape& shape, double value, DType dtype = DType::float32);

}  // namespace rapt
