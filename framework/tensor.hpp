// Arrays that hold values: what goes into a graph and what comes out of it.
#pragma once

#include <cstddef>
#include <memory>
#include <rapt/framework/shape.hpp>
#include <vector>

namespace rapt {

/// Uninitialised memory for n bytes, aligned to a cache line and padded to whole ones. Throws
/// OutOfMemory.
std::shared_ptr<std::byte> allocate(int64_t bytes);
/// "1.5 MB".
std::string bytes_text(int64_t bytes);

/// Arrays of at most so many bytes are copied where a tape and its user would share them. Larger
/// ones are shared, and writing to them is noticed by their fingerprints.
inline constexpr int64_t most_copied_bytes = 65536;
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
  /// The elements in row-major order, converted.
  template <class T>
  std::vector<T> to_vector() const;

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

  std::shared_ptr<std::byte> memory_;
  void* data_ = nullptr;
  Shape shape_;
  Strides strides_{};
  DType dtype_ = DType::float32;
};

/// A tensor of the given values in row-major order. Throws Error where the sizes differ.
template <class T>
Tensor tensor(std::span<const T> values, const Shape& shape);
template <class T>
Tensor tensor(const std::vector<T>& values, const Shape& shape) {
  return tensor(std::span<const T>(values), shape);
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
