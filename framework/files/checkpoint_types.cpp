#include "framework/files/checkpoint_types.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

struct Known {
  std::string_view name;
  int64_t size;
  DType read_as;
};

/// In the order of StoredType.
constexpr std::array<Known, 13> known{{{"F64", 8, DType::float64},
                                       {"F32", 4, DType::float32},
                                       {"F16", 2, DType::float32},
                                       {"BF16", 2, DType::float32},
                                       {"I64", 8, DType::int32},
                                       {"I32", 4, DType::int32},
                                       {"I16", 2, DType::int32},
                                       {"I8", 1, DType::int32},
                                       {"U64", 8, DType::int32},
                                       {"U32", 4, DType::int32},
                                       {"U16", 2, DType::int32},
                                       {"U8", 1, DType::int32},
                                       {"BOOL", 1, DType::boolean}}};

const Known& of(StoredType type) { return known[static_cast<size_t>(type)]; }

/// Returns the bits of a float32 with the value of an IEEE half: 1 bit of sign, 5 of exponent, 10
/// of fraction.
uint32_t float_of_half(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31u,
                 fraction = half & 1023u;
  if (exponent == 31) return sign | 0x7f800000u | fraction << 13;
  // Subnormal halves are multiples of 2^-24, which are normal numbers in float32.
  if (exponent == 0) return sign | std::bit_cast<uint32_t>(static_cast<float>(fraction) * 0x1p-24f);
  return sign | (exponent + 127 - 15) << 23 | fraction << 13;
}

/// Returns the bits of a float32 whose upper half is the bfloat16.
uint32_t float_of_bfloat(uint16_t bits) { return static_cast<uint32_t>(bits) << 16; }

template <class Bits>
void widen(const std::byte* from, int64_t n, void* to, const Bits& bits) {
  auto* out = static_cast<std::byte*>(to);
  for (int64_t i = 0; i < n; ++i) {
    uint16_t half = 0;
    std::memcpy(&half, from + i * 2, 2);
    const uint32_t wide = bits(half);
    std::memcpy(out + i * 4, &wide, 4);
  }
}

template <class T>
std::optional<Unfit> to_int32(const std::byte* from, int64_t n, void* to) {
  auto* out = static_cast<int32_t*>(to);
  for (int64_t i = 0; i < n; ++i) {
    T value = 0;
    std::memcpy(&value, from + i * static_cast<int64_t>(sizeof value), sizeof value);
    if (!std::in_range<int32_t>(value)) return Unfit{i, std::to_string(value)};
    out[i] = static_cast<int32_t>(value);
  }
  return std::nullopt;
}

}  // namespace

std::string_view name(StoredType type) { return of(type).name; }

std::optional<StoredType> stored_type_named(std::string_view name) {
  const auto* found = std::find_if(known.begin(), known.end(),
                                   [&](const Known& type) { return type.name == name; });
  if (found == known.end()) return std::nullopt;
  return static_cast<StoredType>(found - known.begin());
}

std::string stored_type_names() {
  std::string text;
  for (const Known& type : known) {
    if (!text.empty()) text += &type == &known.back() ? " and " : ", ";
    text += type.name;
  }
  return text;
}

int64_t size_of(StoredType type) { return of(type).size; }

DType read_as(StoredType type) { return of(type).read_as; }

StoredType written_as(DType type) {
  switch (type) {
    case DType::float32:
      return StoredType::f32;
    case DType::float64:
      return StoredType::f64;
    case DType::int32:
      return StoredType::i32;
    case DType::boolean:
      return StoredType::boolean;
  }
  std::abort();
}

bool is_converted(StoredType type) { return written_as(read_as(type)) != type; }

std::optional<Unfit> convert(StoredType type, const std::byte* from, int64_t n, void* to) {
  switch (type) {
    case StoredType::f16:
      widen(from, n, to, float_of_half);
      return std::nullopt;
    case StoredType::bf16:
      widen(from, n, to, float_of_bfloat);
      return std::nullopt;
    case StoredType::i64:
      return to_int32<int64_t>(from, n, to);
    case StoredType::i16:
      return to_int32<int16_t>(from, n, to);
    case StoredType::i8:
      return to_int32<int8_t>(from, n, to);
    case StoredType::u64:
      return to_int32<uint64_t>(from, n, to);
    case StoredType::u32:
      return to_int32<uint32_t>(from, n, to);
    case StoredType::u16:
      return to_int32<uint16_t>(from, n, to);
    case StoredType::u8:
      return to_int32<uint8_t>(from, n, to);
    case StoredType::f64:
    case StoredType::f32:
    case StoredType::i32:
    case StoredType::boolean:
      break;
  }
  std::abort();  // not called for types without conversion
}

}  // namespace v0
}  // namespace rapt
