#include <fmt/format.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "framework/core/error.hpp"
#include "framework/core/out_of_memory.hpp"
#include "framework/core/recycled.hpp"
#include "framework/core/tensor.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

constexpr std::align_val_t alignment{64};

/// Calls f with the offset of every element, in row-major order.
template <class F>
void for_each_offset(const Shape& shape, const Strides& strides, F&& f) {
  const int64_t n = shape.size();
  std::array<int64_t, max_rank> at{};
  int64_t offset = 0;
  for (int64_t i = 0; i < n; ++i) {
    f(offset);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const auto a = static_cast<size_t>(axis);
      offset += strides[a];
      if (++at[a] < shape[axis]) break;
      offset -= strides[a] * shape[axis];
      at[a] = 0;
    }
  }
}

/// Converts to int32 as cast() does: towards 0, to the nearest int32 beyond the range, and NaN to
/// 0.
template <class To, class From>
To converted(From x) {
  if constexpr (std::is_same_v<To, int32_t> && std::is_floating_point_v<From>) {
    const auto number = static_cast<double>(x);
    if (!(number > -0x1p31)) return number == number ? std::numeric_limits<int32_t>::min() : 0;
    if (number >= 0x1p31) return std::numeric_limits<int32_t>::max();
  }
  return static_cast<To>(x);
}

template <class To, class From>
void copy_elements(To* to, const Strides& to_strides, const From* from, const Strides& from_strides,
                   const Shape& shape) {
  // Collects the target's offsets first, so that both arrays can be traversed in parallel.
  std::vector<int64_t> offsets;
  offsets.reserve(static_cast<size_t>(shape.size()));
  for_each_offset(shape, to_strides, [&](int64_t offset) { offsets.push_back(offset); });
  size_t i = 0;
  for_each_offset(shape, from_strides,
                  [&](int64_t offset) { to[offsets[i++]] = converted<To>(from[offset]); });
}

}  // namespace

static std::shared_ptr<std::byte> try_to_allocate(int64_t bytes) {
  const size_t padded = (static_cast<size_t>(bytes) + 63) / 64 * 64;
  constexpr size_t small = 16384;
  if (padded <= small) {
    return {static_cast<std::byte*>(take_recycled(padded)),
            [padded](std::byte* p) { give_recycled(p, padded); }, RecyclingAllocator<std::byte>()};
  }
  // A block of several megabytes begins at a large page and asks for such pages. This causes one
  // page fault per two megabytes instead of five hundred.
  constexpr size_t large_page = size_t{1} << 21;
  const bool large = padded >= 2 * large_page;
  const auto aligned = large ? std::align_val_t{large_page} : alignment;
  auto* memory = static_cast<std::byte*>(::operator new(padded, aligned));
#if defined(__linux__)
  if (large) madvise(memory, padded, MADV_HUGEPAGE);
#endif
  return {memory, [aligned](std::byte* p) { ::operator delete(p, aligned); },
          RecyclingAllocator<std::byte>()};
}

std::shared_ptr<std::byte> allocate(int64_t bytes) {
  try {
    return try_to_allocate(bytes);
  } catch (const std::bad_alloc&) {
    throw_out_of_memory([&] {
      return ErrorParts{.detail =
                            fmt::format("out of memory: {} could not be had", bytes_text(bytes))};
    });
  }
}

std::string bytes_text(int64_t bytes) {
  constexpr std::string_view units[] = {"bytes", "KB", "MB", "GB", "TB", "PB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  for (; size >= 1000 && unit + 1 < std::size(units); ++unit) size /= 1000;
  return unit == 0 ? fmt::format("{} bytes", bytes) : fmt::format("{:.3g} {}", size, units[unit]);
}

uint64_t fingerprint(const void* data, int64_t bytes) {
  // Hashes only 16 or 32 evenly spaced words, because it runs in every step. For a small array even
  // this takes as long as a step. Filling an array anew changes most of the words. Words are
  // multiplied in independent pairs. Each is first mixed with a constant of its position, so that
  // it counts even if its partner is 0.
  const int64_t most = bytes < 65536 ? 16 : 32;
  constexpr uint64_t odd = 0x9e3779b97f4a7c15;
  const int64_t words = bytes / 8, step = std::max<int64_t>(1, words / most);
  const auto* const first = static_cast<const std::byte*>(data);
  const auto word = [&](int64_t i) {
    uint64_t bits = 0;
    std::memcpy(&bits, first + i * step * 8, sizeof bits);
    return bits;
  };
  const auto mixed = [](uint64_t a, uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  };
  uint64_t hash = static_cast<uint64_t>(bytes);
  uint64_t salt = odd;
  if (words >= most) {
    for (int64_t i = 0; i < most; i += 2, salt += 2 * odd) {
      hash += mixed(word(i) ^ salt, word(i + 1) ^ ~salt);
    }
  } else {
    for (int64_t i = 0; i < words; ++i, salt += 2 * odd) hash += mixed(word(i) ^ salt, odd);
  }
  hash *= odd;
  return (hash ^ hash >> 29) | 1;
}

Tensor::Tensor(const Shape& shape, DType dtype)
    : memory_(allocate(shape.size() * size_of(dtype))),
      data_(memory_.get()),
      shape_(shape),
      strides_(contiguous_strides(shape)),
      dtype_(dtype) {}

Tensor::Tensor(std::shared_ptr<std::byte> memory, void* data, DType dtype, const Shape& shape,
               const Strides& strides)
    : memory_(std::move(memory)), data_(data), shape_(shape), strides_(strides), dtype_(dtype) {}

void* Tensor::checked_data(DType dtype) const {
  if (!memory_) throw Error({.op = "tensor", .detail = "the handle is empty"});
  if (dtype != dtype_) {
    throw Error({.kind = ErrorKind::type,
                 .op = "tensor",
                 .detail = fmt::format("holds {}, asked for as {}", name(dtype_), name(dtype))});
  }
  if (!is_contiguous()) {
    throw Error({.op = "tensor",
                 .detail = fmt::format("{} is a strided view; clone() makes it contiguous",
                                       to_string(shape_))});
  }
  return data_;
}

double Tensor::item() const {
  if (data_ == nullptr) throw Error({.op = "item", .detail = "the tensor is an empty handle"});
  if (size() != 1) {
    throw Error({.kind = ErrorKind::shape,
                 .op = "item",
                 .detail = fmt::format("needs one element, the shape is {}", to_string(shape_))});
  }
  double value = 0;
  by_element_type(dtype_,
                  [&]<class T>() { value = static_cast<double>(*static_cast<const T*>(data_)); });
  return value;
}

void Tensor::copy_from(const Tensor& other) const {
  if (other.shape() != shape_) {
    throw Error({.kind = ErrorKind::shape,
                 .op = "copy_from",
                 .detail = fmt::format("shapes differ: {} from {}", to_string(shape_),
                                       to_string(other.shape()))});
  }
  if (size() == 0) return;
  if (data_ == nullptr || other.data_ == nullptr) {
    throw Error({.op = "copy_from", .detail = "one of the tensors is an empty handle"});
  }
  if (dtype_ == other.dtype_ && is_contiguous() && other.is_contiguous()) {
    std::memcpy(data_, other.data_, static_cast<size_t>(size() * size_of(dtype_)));
    return;
  }
  by_element_type(dtype_, [&]<class To>() {
    by_element_type(other.dtype_, [&]<class From>() {
      copy_elements(static_cast<To*>(data_), strides_, static_cast<const From*>(other.data_),
                    other.strides_, shape_);
    });
  });
}

Tensor Tensor::to(DType dtype) const {
  if (data_ == nullptr) throw Error({.op = "to", .detail = "the tensor is an empty handle"});
  Tensor copy(shape_, dtype);
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::reshape(const Shape& shape) const {
  if (shape.size() != size()) {
    throw Error({.kind = ErrorKind::shape,
                 .op = "reshape",
                 .detail = fmt::format("{} has {} elements, {} has {}", to_string(shape_), size(),
                                       to_string(shape), shape.size())});
  }
  if (!is_contiguous()) return clone().reshape(shape);
  return {memory_, data_, dtype_, shape, contiguous_strides(shape)};
}

template <class T>
std::vector<T> Tensor::elements() const {
  const Tensor same = dtype_ == dtype_of<T> && is_contiguous() ? *this : to(dtype_of<T>);
  const std::span<T> values = same.data<T>();
  return {values.begin(), values.end()};
}
template RAPT_API std::vector<float> Tensor::elements() const;
template RAPT_API std::vector<double> Tensor::elements() const;
template RAPT_API std::vector<int32_t> Tensor::elements() const;
template RAPT_API std::vector<bool> Tensor::elements() const;

void Tensor::check_range(double value, double lowest, int digits) {
  const double whole = std::trunc(value);
  if (whole >= lowest && whole < std::ldexp(1.0, digits)) return;
  throw Error({.op = "to_vector",
               .detail = fmt::format("the value {} is beyond the range [{}, 2^{})", value, lowest,
                                     digits)});
}

namespace detail {

void fail_int32(const std::string& value, size_t place) {
  throw Error({.op = "tensor",
               .detail = fmt::format("the value {}, number {}, is no int32", value, place)});
}

template <class T>
Tensor tensor_of(std::span<const T> values, const Shape& shape) {
  if (static_cast<int64_t>(values.size()) != shape.size()) {
    throw Error(
        {.kind = ErrorKind::shape,
         .op = "tensor",
         .detail = fmt::format("{} values for the shape {}", values.size(), to_string(shape))});
  }
  Tensor result(shape, dtype_of<T>);
  if (!values.empty()) std::memcpy(result.bytes(), values.data(), values.size_bytes());
  return result;
}
template RAPT_API Tensor tensor_of(std::span<const float>, const Shape&);
template RAPT_API Tensor tensor_of(std::span<const double>, const Shape&);
template RAPT_API Tensor tensor_of(std::span<const int32_t>, const Shape&);
template RAPT_API Tensor tensor_of(std::span<const bool>, const Shape&);

}  // namespace detail

Tensor zeros(const Shape& shape, DType dtype) {
  Tensor result(shape, dtype);
  std::memset(result.bytes(), 0, static_cast<size_t>(result.size() * size_of(dtype)));
  return result;
}

Tensor full(const Shape& shape, double value, DType dtype) {
  if (dtype == DType::int32 && !(value > -0x1p31 - 1 && value < 0x1p31)) {
    throw Error({.op = "full", .detail = fmt::format("int32 cannot hold {}", value)});
  }
  Tensor result(shape, dtype);
  by_element_type(dtype, [&]<class T>() {
    for (T& element : result.data<T>()) element = static_cast<T>(value);
  });
  return result;
}

}  // namespace v0
}  // namespace rapt
