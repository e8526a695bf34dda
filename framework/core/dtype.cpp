#include "framework/core/dtype.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

std::string_view name(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "float32";
    case DType::float64:
      return "float64";
    case DType::int32:
      return "int32";
    case DType::boolean:
      return "boolean";
  }
  return "an unknown type";
}

void detail::throw_no_code(DType dtype, std::string_view expected) {
  throw Error(fmt::format("there is no code for {}: expected {}", name(dtype), expected),
              ErrorKind::type);
}

}  // namespace v0
}  // namespace rapt
