#include "framework/core/error.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

std::string message_of(const ErrorParts& parts) {
  return fmt::format("{}{}{}{}{}", parts.op, parts.op.empty() ? "" : ": ", parts.detail,
                     parts.place.empty() ? "" : "; at ", parts.place);
}

ErrorParts of_kind(ErrorParts parts, ErrorKind kind) {
  parts.kind = kind;
  return parts;
}

}  // namespace

Error::Error(ErrorParts parts)
    : std::runtime_error(message_of(parts)),
      parts_(std::make_shared<const ErrorParts>(std::move(parts))) {}

ErrorKind Error::kind_of(const std::exception& error) noexcept {
  const auto* const own = dynamic_cast<const Error*>(&error);
  return own != nullptr ? own->kind() : ErrorKind::usage;
}

OutOfMemory::OutOfMemory(ErrorParts parts) : Error(of_kind(std::move(parts), ErrorKind::memory)) {}

NonFiniteError::NonFiniteError(ErrorParts parts)
    : Error(of_kind(std::move(parts), ErrorKind::not_finite)) {}

FileError::FileError(ErrorParts parts) : Error(of_kind(std::move(parts), ErrorKind::file)) {}

std::string to_string(const SourceLocation& where) {
  std::string_view file = where.file_name();
  if (const size_t slash = file.find_last_of("/\\"); slash != std::string_view::npos) {
    file.remove_prefix(slash + 1);
  }
  return fmt::format("{}:{}", file, where.line());
}

}  // namespace v0
}  // namespace rapt
