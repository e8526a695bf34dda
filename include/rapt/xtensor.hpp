// The bridge to xtensor: conversion of arrays, bodies of custom operators, .npy files. This is the
// only header of rapt that includes xtensor. All of it is compiled in the user's own program.
#pragma once

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "framework/core/api.hpp"
#include "framework/core/error.hpp"
#include "framework/files/checkpoint_types.hpp"
#include "framework/graph/op.hpp"

// xtensor 0.26 moved its headers into folders.
#if __has_include(<xtensor/containers/xadapt.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xarray.hpp>
#include <xtensor/core/xmath.hpp>
#include <xtensor/core/xnoalias.hpp>
#include <xtensor/io/xnpy.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xnpy.hpp>
#endif

namespace rapt {
inline namespace v0 RAPT_API {

namespace detail {

template <class T>
using XtArray = xt::xarray_adaptor<xt::xbuffer_adaptor<T*, xt::no_ownership>,
                                   xt::layout_type::dynamic, xt::dynamic_shape<std::size_t>>;

/// An xtensor adaptor whose assignment fills the memory and broadcasts. Assigning to xtensor's own
/// adaptor would change its shape. xtensor recognises the class as an expression by its form,
/// Template<Array>.
template <class Array>
class AssignableView : public Array {
 public:
  using T = typename Array::value_type;

  explicit AssignableView(const TensorView& view)
      : Array(is_contiguous(view.shape, view.strides)
                  ? Array(buffer(view), shape_of(view.shape), xt::layout_type::row_major)
                  : Array(buffer(view), shape_of(view.shape), strides_of(view))) {}
  AssignableView(const AssignableView&) = default;
  ~AssignableView() = default;
  AssignableView& operator=(const AssignableView& other) { return assign(other); }
  template <class E>
  AssignableView& operator=(const xt::xexpression<E>& expression) {
    return assign(expression.derived_cast());
  }

 private:
  template <class E>
  AssignableView& assign(const E& e) {
    Array& self = *this;
    if (std::equal(e.shape().begin(), e.shape().end(), self.shape().begin(), self.shape().end())) {
      xt::noalias(self) = e;
    } else {
      xt::noalias(self) = xt::broadcast(e, self.shape());
    }
    return *this;
  }

  static xt::xbuffer_adaptor<T*, xt::no_ownership> buffer(const TensorView& view) {
    if (view.dtype != dtype_of<T>) {
      throw Error("xt_view: the array holds " + std::string(name(view.dtype)) + ", asked for as " +
                  std::string(name(dtype_of<T>)));
    }
    for (int i = 0; i < view.shape.rank(); ++i) {
      if (view.strides[static_cast<size_t>(i)] < 0) {
        throw Error("xt_view: the array has negative strides; clone() it first");
      }
    }
    // xtensor expects the number of elements, even if strides leave gaps or repeat elements.
    return {view.as<T>(), static_cast<std::size_t>(view.size())};
  }

  static xt::dynamic_shape<std::size_t> shape_of(const Shape& shape) {
    return {shape.begin(), shape.end()};
  }

  static xt::dynamic_shape<std::ptrdiff_t> strides_of(const TensorView& view) {
    // xtensor expects stride 0 for axes of size 1.
    xt::dynamic_shape<std::ptrdiff_t> strides(static_cast<size_t>(view.shape.rank()));
    for (size_t i = 0; i < strides.size(); ++i) {
      strides[i] = view.shape[static_cast<int>(i)] == 1 ? 0 : view.strides[i];
    }
    return strides;
  }
};

}  // namespace detail

/// An array's memory as an xtensor expression that can be assigned to. It owns nothing and is valid
/// as long as the array. Assignment writes to the array and keeps its shape. The assigned
/// expression may broadcast. It must not read the array's elements in another order than they are
/// written.
template <class T>
using XtView = detail::AssignableView<detail::XtArray<T>>;

/// Returns the array as an xtensor expression: xt_view(t), or xt_view<double>(t). Throws Error if
/// the array has another element type.
template <class T = float>
XtView<T> xt_view(const TensorView& view) {
  return XtView<T>(view);
}
template <class T = float>
XtView<T> xt_view(const Tensor& tensor) {
  return XtView<T>({tensor.bytes(), tensor.dtype(), tensor.shape(), tensor.strides()});
}

/// Returns a new tensor with the values of an expression of float, double, int32_t or bool. Throws
/// Error for more than max_rank dimensions.
template <class E>
Tensor from_xtensor(const xt::xexpression<E>& expression) {
  const E& e = expression.derived_cast();
  Shape shape;
  for (const auto dim : e.shape()) shape.push_back(static_cast<int64_t>(dim));
  using T = std::decay_t<typename E::value_type>;
  const Tensor result(shape, dtype_of<T>);
  xt_view<T>(result) = expression;
  return result;
}

/// Calls f with a zero of the C++ type of a float dtype. Throws Error for other types.
template <class F>
void visit_float(DType dtype, F&& f) {
  if (dtype == DType::float32) return f(0.0f);
  if (dtype == DType::float64) return f(0.0);
  throw Error("is for floats, not " + std::string(name(dtype)));
}

namespace detail {

template <class F, class T, size_t... i>
void call_with_views(const ForwardContext& c, std::index_sequence<i...>) {
  const auto view = [&](int k) {
    return xt_view<T>(k < c.inputs() ? c.input(k) : c.output(k - c.inputs()));
  };
  if constexpr (std::is_invocable_v<F, decltype((static_cast<void>(i), view(0)))...>) {
    F{}(view(static_cast<int>(i))...);
  } else {
    throw Error("its xtensor body takes another number of arrays than it has inputs and outputs");
  }
}

}  // namespace detail

/// Makes the forward function of an operator from an xtensor body. The body is called with the
/// inputs, then the outputs. They all have one type, float or double:
///
///   .forward = xt_forward([](auto x, auto y) { y = x / (1 + xt::exp(-x)); })
///
/// The body must not capture anything and takes at most 6 arrays.
template <class F>
requires std::is_empty_v<F>
constexpr auto xt_forward(F) -> void (*)(const ForwardContext&) {
  return [](const ForwardContext& c) {
    visit_float(c.output().dtype, [&](auto zero) {
      using T = decltype(zero);
      switch (c.inputs() + c.outputs()) {
        case 1:
          return detail::call_with_views<F, T>(c, std::make_index_sequence<1>());
        case 2:
          return detail::call_with_views<F, T>(c, std::make_index_sequence<2>());
        case 3:
          return detail::call_with_views<F, T>(c, std::make_index_sequence<3>());
        case 4:
          return detail::call_with_views<F, T>(c, std::make_index_sequence<4>());
        case 5:
          return detail::call_with_views<F, T>(c, std::make_index_sequence<5>());
        case 6:
          return detail::call_with_views<F, T>(c, std::make_index_sequence<6>());
        default:
          throw Error("has too many arrays for an xtensor body");
      }
    });
  };
}

// ---- .npy files ---------------------------------------------------------------------------------

namespace detail {

/// Returns the element type in the header of an .npy file: "<f4".
inline std::string npy_type(std::istream& stream) {
  std::string head(128, '\0');
  stream.read(head.data(), static_cast<std::streamsize>(head.size()));
  stream.clear();
  stream.seekg(0);
  const size_t key = head.find("'descr'");
  const size_t begin = key == std::string::npos ? key : head.find('\'', key + 7);
  const size_t end = begin == std::string::npos ? begin : head.find('\'', begin + 1);
  if (end == std::string::npos) throw Error("is not an .npy file");
  return head.substr(begin + 1, end - begin - 1);
}

/// Throws Error if the product of the sizes in a header overflows, which xtensor does not check.
inline void check_npy_shape(std::istream& stream) {
  std::string head(1024, '\0');
  stream.read(head.data(), static_cast<std::streamsize>(head.size()));
  stream.clear();
  stream.seekg(0);
  const size_t key = head.find("'shape'");
  size_t i = key == std::string::npos ? head.size() : head.find('(', key);
  int64_t elements = 1, size = 0;
  for (; i < head.size() && head[i] != ')'; ++i) {
    const bool digit = head[i] >= '0' && head[i] <= '9';
    const bool last = digit && (i + 1 == head.size() || head[i + 1] < '0' || head[i + 1] > '9');
    if (!digit) continue;
    bool too_many = __builtin_mul_overflow(size, int64_t{10}, &size) ||
                    __builtin_add_overflow(size, int64_t{head[i] - '0'}, &size);
    if (last) {
      // Counts sizes of 0 as 1, because strides are products of the other sizes.
      too_many =
          too_many || __builtin_mul_overflow(elements, std::max<int64_t>(size, 1), &elements);
      size = 0;
    }
    if (too_many) throw Error("its data do not have the size of its shape");
  }
}

template <class T>
auto read_npy(std::istream& stream, int64_t file_bytes) {
  check_npy_shape(stream);
  auto array = xt::load_npy<T>(stream);
  // xtensor reads whatever the file holds. This detects a shape that needs more data, or less.
  int64_t bytes = sizeof(T);
  for (const size_t dim : array.shape()) {
    if (__builtin_mul_overflow(bytes, static_cast<int64_t>(dim), &bytes)) bytes = -1;
    if (bytes <= 0) break;
  }
  if (!stream || bytes < 0 || bytes > file_bytes || stream.tellg() != file_bytes) {
    throw Error("its data do not have the size of its shape");
  }
  return array;
}

/// Returns the element type for "<f2" or ">f2", or nothing.
inline std::optional<StoredType> npy_stored_type(std::string_view type) {
  // NumPy's letter and size correspond to a name of safetensors: f2 is F16.
  if (type.size() != 3 || std::string_view("<>|").find(type[0]) == std::string_view::npos) {
    return std::nullopt;
  }
  const char letter = type[1] == 'f' ? 'F' : type[1] == 'i' ? 'I' : type[1] == 'u' ? 'U' : '?';
  if (type[2] < '1' || type[2] > '8') return std::nullopt;
  return stored_type_named(letter + std::to_string(8 * (type[2] - '0')));
}

/// Reads elements of a type or byte order that xtensor does not support. Reads them as unsigned
/// integers T with the same bits.
template <class T>
Tensor read_npy_bits(std::istream& stream, const std::string& type, StoredType stored) {
  std::string file{std::istreambuf_iterator<char>(stream), {}};
  const std::string size = std::to_string(sizeof(T));
  file.replace(file.find(type), type.size(), (sizeof(T) == 1 ? "|u" : "<u") + size);
  std::istringstream bits_stream(file);
  xt::xarray<T, xt::layout_type::row_major> bits =
      read_npy<T>(bits_stream, static_cast<int64_t>(file.size()));
  Shape shape;
  for (const size_t dim : bits.shape()) shape.push_back(static_cast<int64_t>(dim));
  const Tensor result(shape, read_as(stored));
  auto* bytes = reinterpret_cast<std::byte*>(bits.data());
  const auto n = static_cast<int64_t>(bits.size()), width = static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; type[0] == '>' && i < n; ++i) {
    std::reverse(bytes + i * width, bytes + (i + 1) * width);
  }
  if (!is_converted(stored)) {
    if (n > 0) std::memcpy(result.bytes(), bytes, static_cast<size_t>(n * width));
  } else if (const auto unfit = convert(stored, bytes, n, result.bytes())) {
    throw Error("holds " + unfit->value + ", which int32 cannot hold");
  }
  return result;
}

}  // namespace detail

/// Reads an array that NumPy saved, in either byte order. float32, float64, int32 and bool keep
/// their types. float16 becomes float32; other integers become int32. Throws Error for other files,
/// and for an integer that int32 cannot hold.
inline Tensor load_npy(const std::string& path) {
  try {
    std::ifstream stream(path, std::ios::binary | std::ios::ate);
    const int64_t bytes = stream.tellg();
    if (!stream || bytes < 0) throw Error("cannot be read");
    stream.seekg(0);
    const std::string type = detail::npy_type(stream);
    if (type == "<f4") return from_xtensor(detail::read_npy<float>(stream, bytes));
    if (type == "<f8") return from_xtensor(detail::read_npy<double>(stream, bytes));
    if (type == "<i4") return from_xtensor(detail::read_npy<int32_t>(stream, bytes));
    if (type == "|b1") return from_xtensor(detail::read_npy<bool>(stream, bytes));
    const std::optional<StoredType> stored = detail::npy_stored_type(type);
    if (!stored)
      throw Error("holds " + type + ", which is none of f2, f4, f8, i1 to i8, u1 to u8 and b1");
    switch (size_of(*stored)) {
      case 1:
        return detail::read_npy_bits<uint8_t>(stream, type, *stored);
      case 2:
        return detail::read_npy_bits<uint16_t>(stream, type, *stored);
      case 4:
        return detail::read_npy_bits<uint32_t>(stream, type, *stored);
      default:
        return detail::read_npy_bits<uint64_t>(stream, type, *stored);
    }
  } catch (const std::exception& error) {
    throw Error(path + ": " + error.what());
  }
}

/// Writes an array for numpy.load. Throws Error if that fails.
inline void save_npy(const std::string& path, const Tensor& tensor) {
  const auto dump = [&](auto zero) {
    using T = decltype(zero);
    const Tensor dense = tensor.is_contiguous() ? tensor : tensor.clone();
    const std::string bytes = xt::dump_npy(xt::xarray<T>(xt_view<T>(dense)));
    std::ofstream stream(path, std::ios::binary);
    stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    stream.close();
    if (!stream) throw Error(path + ": cannot be written");
  };
  switch (tensor.dtype()) {
    case DType::float32:
      return dump(float());
    case DType::float64:
      return dump(double());
    case DType::int32:
      return dump(int32_t());
    case DType::boolean:
      return dump(bool());
  }
}

}  // namespace v0
}  // namespace rapt
