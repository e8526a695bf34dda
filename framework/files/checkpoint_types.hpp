// The element types of safetensors files, and their conversion to rapt's types.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "framework/core/api.hpp"
#include "framework/core/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// An element type that can be read. F64, F32, I32 and BOOL can also be written.
enum class StoredType : uint8_t {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  u64,
  u32,
  u16,
  u8,
  boolean
};

/// Returns the name as in a file's header: "BF16".
std::string_view name(StoredType type);
/// Returns the type of that name, or nothing.
std::optional<StoredType> stored_type_named(std::string_view name);
/// Returns the names of all types, for messages.
std::string stored_type_names();

/// Returns the bytes per element in the file.
int64_t size_of(StoredType type);
/// Returns the type of elements after reading: halves become float32, all integers int32.
DType read_as(StoredType type);
/// Returns the type in which elements are written.
StoredType written_as(DType type);
/// True if reading changes the bytes of elements.
bool is_converted(StoredType type);

/// A number that int32 cannot hold.
struct Unfit {
  int64_t index;  ///< index of the element
  std::string value;
};

/// Writes n elements to `to`, converted to read_as(type). F16 and BF16 are exact: subnormal
/// numbers, infinities and the bits of a NaN are kept. Returns the first number that does not fit,
/// if any, and writes nothing from there on. Only for types with is_converted(type).
std::optional<Unfit> convert(StoredType type, const std::byte* from, int64_t n, void* to);

}  // namespace v0
}  // namespace rapt
