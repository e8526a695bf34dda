// The element types of safetensors files, and what they are read as.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "framework/core/api.hpp"
#include "framework/core/shape.hpp"

namespace rapt RAPT_API {

/// An element type that can be read. F64, F32, I32 and BOOL are written too.
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

/// "BF16", as a file's header spells it.
std::string_view name(StoredType type);
/// The type of that name, or nothing.
std::optional<StoredType> stored_type_named(std::string_view name);
/// The names of all types, for messages.
std::string stored_type_names();

/// Bytes of an element in the file.
int64_t size_of(StoredType type);
/// What an element is once it is read: halves become float32, all integers int32.
DType read_as(StoredType type);
/// What an element is written as.
StoredType written_as(DType type);
/// Whether reading changes an element's bytes.
bool is_converted(StoredType type);

/// A number that int32 cannot hold.
struct Unfit {
  int64_t index;  // among the elements
  std::string value;
};

/// Writes n elements to `to`, converted to read_as(type). F16 and BF16 are exact: subnormal
/// numbers, infinities and the bits of a NaN are kept. Returns the first number that does not fit,
/// if any; what follows it is not written then. For types that are converted.
std::optional<Unfit> convert(StoredType type, const std::byte* from, int64_t n, void* to);

}  // namespace rapt
