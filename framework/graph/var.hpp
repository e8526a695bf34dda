// Handles on recorded values, and the operands of operators.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>

#include "framework/core/api.hpp"
#include "framework/core/location.hpp"
#include "framework/core/tensor.hpp"
#include "framework/graph/ids.hpp"

namespace rapt::internal {
struct Graph;
}

namespace rapt {
inline namespace v0 RAPT_API {

struct ParameterState;
class Parameter;
class Arg;

/// A small, copyable handle on a recorded value. It is valid as long as its Tape lives.
class Var {
 public:
  Var() = default;
  Var(internal::Graph& graph, ValueId id);
  /// Converts a Tensor or a Parameter to a value of the current tape. A function that takes a Var
  /// therefore accepts both. Throws Error if there is no tape.
  Var(const Tensor& tensor, SourceLocation here = SourceLocation::current());
  Var(const Parameter& parameter, SourceLocation here = SourceLocation::current());

  /// True if the handle refers to nothing.
  bool is_empty() const { return graph_ == nullptr; }
  /// Rejects a Var as a condition at compile time, because its value is not known yet.
  template <std::same_as<bool> Bool>
  explicit operator Bool() const {
    static_assert(sizeof(Bool) == 0,
                  "a Var is no condition. Its value, computed now: item(). Whether it holds one: "
                  "is_empty(). For arrays: where(), maximum() and minimum(), and logical_and(), "
                  "logical_or() and logical_not() in place of &&, || and !");
    return false;
  }

  /// The functions from here on throw Error if the handle is empty or its tape has ended.
  Shape shape(SourceLocation here = SourceLocation::current()) const;
  DType dtype(SourceLocation here = SourceLocation::current()) const;
  int rank(SourceLocation here = SourceLocation::current()) const { return shape(here).rank(); }
  /// Returns the size of one axis. Negative axes count from the end. Throws Error if the axis does
  /// not exist.
  int64_t size(int axis, SourceLocation here = SourceLocation::current()) const;

  /// Returns the value, and computes it if necessary. A result of up to 4 KB is a copy. A larger
  /// one shares the tape's memory and is for reading only: once it is written to, the tape refuses
  /// to compute from it.
  Tensor value(SourceLocation here = SourceLocation::current()) const;
  /// Returns the value of a single element. Throws Error if there are more.
  double item(SourceLocation here = SourceLocation::current()) const;
  /// Returns the i-th output of the node that computes this value.
  Var output(int i) const;

  /// Returns the number of the value on its tape.
  ValueId id() const { return id_; }
  /// Returns the graph in which the value is recorded. Throws Error if the tape has ended.
  internal::Graph& graph(SourceLocation here = SourceLocation::current()) const;

  /// x[i][j]: selects elements by computed indices. See ops/shape/index.hpp, which has to be
  /// included: there lies index_array().
  template <class Index = Arg>
  auto operator[](const std::type_identity_t<Index>& index) const {
    return index_array(*this, index);
  }

 private:
  friend struct internal::Graph;

  internal::Graph* graph_ = nullptr;
  ValueId id_{};
  uint32_t generation_ = 0;
};

/// An operand as a user writes it: a Var, a Parameter, a Tensor or a number. It remembers the line
/// where it was written, so that errors can name the user's code.
class Arg {
 public:
  Arg(const Var& var, SourceLocation here = SourceLocation::current())
      : where(here), kind_(Kind::var), var_(var) {}
  Arg(const Parameter& parameter, SourceLocation here = SourceLocation::current());
  Arg(const Tensor& tensor, SourceLocation here = SourceLocation::current());
  template <class Number>
  requires std::is_arithmetic_v<Number> Arg(Number number,
                                            SourceLocation here = SourceLocation::current())
      : where(here), kind_(Kind::number), number_(static_cast<double>(number)) {}
  /// Copies an operand, with another source line.
  Arg(const Arg& arg, SourceLocation here) : Arg(arg) { where = here; }

  bool is_number() const { return kind_ == Kind::number; }
  /// True if it is an empty Var, which stands for an omitted operand.
  bool is_empty() const { return kind_ == Kind::var && var_.is_empty(); }
  /// Returns the Var, or null for the other kinds.
  const Var* var() const { return kind_ == Kind::var ? &var_ : nullptr; }
  /// Returns the graph of the Var, or null for the other kinds. Throws Error for an empty Var.
  internal::Graph* graph() const;
  /// Returns the element type; float32 for a number.
  DType dtype() const;
  /// Converts the operand to a Var of the graph. A number becomes a constant of type `number_type`.
  Var on(internal::Graph& graph, DType number_type) const;

  SourceLocation where;  ///< the line where the operand was written

 private:
  enum class Kind : uint8_t { var, parameter, tensor, number };

  Kind kind_;
  Var var_;
  double number_ = 0;
  // Holds a ParameterState or a Tensor, because the operand may outlive the user's variable.
  std::shared_ptr<void> held_;
};

/// Converts an operand to a Var of its own tape, or else of the current tape.
Var as_var(const Arg& arg);

}  // namespace v0
}  // namespace rapt
