// Element types, and the one place that goes from them to C++ types.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <utility>

#include "framework/core/api.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// What an element is. `boolean` is the type of masks: one byte, 0 or 1.
enum class DType : uint8_t { float32, float64, int32, boolean };

std::string_view name(DType dtype);

/// Bytes of an element.
constexpr int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::float32:
    case DType::int32:
      return 4;
    case DType::float64:
      return 8;
    case DType::boolean:
      return 1;
  }
  return 0;
}

constexpr bool is_float(DType dtype) { return dtype == DType::float32 || dtype == DType::float64; }

/// Whether arrays have elements of a C++ type.
template <class T>
concept Element = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, int32_t> ||
    std::same_as<T, bool>;

/// The DType of a C++ type.
template <class T>
struct DTypeOf {
  static_assert(Element<T>, "elements of arrays are float, double, int32_t or bool");
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::float32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::float64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::int32;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

namespace detail {
/// Throws Error: there is no code for elements of this type.
[[noreturn]] void throw_no_code(DType dtype, std::string_view expected);
}  // namespace detail

/// Calls body.operator()<T>() with the C++ type of a float type, and returns what it returns.
/// Throws Error for other types. The switches here list every type: a new one is added here first.
template <class Body>
decltype(auto) by_float_type(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::float32:
      return body.template operator()<float>();
    case DType::float64:
      return body.template operator()<double>();
    case DType::int32:
    case DType::boolean:
      break;
  }
  detail::throw_no_code(dtype, "float32 or float64");
}

/// Calls body.operator()<T>() with the C++ type of a type of numbers. Throws Error for boolean.
template <class Body>
decltype(auto) by_number_type(DType dtype, Body&& body) {
  if (dtype == DType::int32) return body.template operator()<int32_t>();
  return by_float_type(dtype, std::forward<Body>(body));
}

/// Calls body.operator()<T>() with the C++ type of any element type.
template <class Body>
decltype(auto) by_element_type(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::float32:
      return body.template operator()<float>();
    case DType::float64:
      return body.template operator()<double>();
    case DType::int32:
      return body.template operator()<int32_t>();
    case DType::boolean:
      return body.template operator()<bool>();
  }
  detail::throw_no_code(dtype, "an element type");
}

}  // namespace v0
}  // namespace rapt
