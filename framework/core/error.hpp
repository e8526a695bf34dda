// The exceptions of the library.
#pragma once

#include <concepts>
#include <memory>
#include <stdexcept>
#include <string>

#include "framework/core/api.hpp"
#include "framework/core/location.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// The kinds of failure that a program may want to tell apart.
enum class ErrorKind {
  usage,       ///< A call that is not allowed here, or with such options.
  shape,       ///< Operands whose shapes do not fit.
  type,        ///< Operands whose element types do not fit.
  not_finite,  ///< A result that holds a NaN or an infinity: NonFiniteError.
  file,   ///< A file that cannot be read or written, or does not hold what it should: FileError.
  memory  ///< Memory that could not be had: OutOfMemory.
};

/// The parts of an Error. Its message is "op: detail; at place", without the parts that are empty.
struct ErrorParts {
  ErrorKind kind = ErrorKind::usage;
  std::string op = {};      ///< The operator, or the function that was called.
  std::string detail = {};  ///< What went wrong, and what was expected.
  std::string place = {};   ///< "block/attention, model.cpp:11, called at train.cpp:29".
};

/// Every failure of rapt is one. The message names what went wrong, with which shapes, in which
/// layer, and at which line of the user's code.
///
///     try {
///       train();
///     } catch (const rapt::NonFiniteError& error) {
///       fmt::print("{} at {}: trying again with a lower rate\n", error.op(), error.place());
///     }
class Error : public std::runtime_error {
 public:
  explicit Error(ErrorParts parts);
  /// For a failure inside an operator, which adds its name and its place (see Op::cpu). Others name
  /// the function that was called, in ErrorParts.
  template <class Text>
  requires std::convertible_to<const Text&, std::string>  // a template, so that {..} is ErrorParts
  explicit Error(const Text& message, ErrorKind kind = ErrorKind::usage)
      : Error(ErrorParts{.kind = kind, .detail = message}) {}

  /// The kind of an exception that is an Error; else `usage`.
  static ErrorKind kind_of(const std::exception& error) noexcept;

  ErrorKind kind() const noexcept { return parts_->kind; }
  /// The operator that failed, or the function or layer that was called; may be empty.
  const std::string& op() const noexcept { return parts_->op; }
  /// What went wrong, without operator and place.
  const std::string& detail() const noexcept { return parts_->detail; }
  /// The layer and the lines of the user's code; empty if they are not known.
  const std::string& place() const noexcept { return parts_->place; }

 private:
  std::shared_ptr<const ErrorParts> parts_;  // shared, so that a copy cannot fail
};

/// The memory for a call could not be allocated. Values computed before are kept, and parameters
/// are as they were before the step.
class OutOfMemory : public Error {
 public:
  explicit OutOfMemory(const std::string& message) : Error(message, ErrorKind::memory) {}
  explicit OutOfMemory(ErrorParts parts);
};

/// A result holds a NaN or an infinity (ExecutorOptions::guard).
class NonFiniteError : public Error {
 public:
  explicit NonFiniteError(ErrorParts parts);
};

/// A file cannot be read or written, or does not hold what it should.
class FileError : public Error {
 public:
  explicit FileError(const std::string& message) : Error(message, ErrorKind::file) {}
  explicit FileError(ErrorParts parts);
};

/// "train.cpp:84": the file without its folders.
std::string to_string(const SourceLocation& where);

}  // namespace v0
}  // namespace rapt
