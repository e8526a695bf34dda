// Handles on recorded values, and the operands that operators take.
#pragma once

#include <concepts>
#include <memory>
#include <type_traits>

#include "framework/core/api.hpp"
#include "framework/core/location.hpp"
#include "framework/core/tensor.hpp"

namespace rapt RAPT_API {

struct Graph;
struct ParameterState;
class Parameter;
class Arg;

/// A small, copyable handle on a recorded value. It is good as long as its Tape lives.
class Var {
 public:
  Var() = default;
  Var(Graph& graph, uint32_t id);
  /// A Tensor or a Parameter, as a value of the current tape: what takes a Var takes these. Throws
  /// Error where there is no tape.
  Var(const Tensor& tensor, SourceLocation here = SourceLocation::current());
  Var(const Parameter& parameter, SourceLocation here = SourceLocation::current());

  /// Whether it is a handle on nothing.
  bool is_empty() const { return graph_ == nullptr; }
  /// A Var in a condition does not compile: its value is not known yet.
  template <std::same_as<bool> Bool>
  explicit operator Bool() const {
    static_assert(sizeof(Bool) == 0,
                  "a Var is no condition. Its value, computed now: item(). Whether it holds one: "
                  "is_empty(). For arrays: where(), maximum() and minimum(), and logical_and(), "
                  "logical_or() and logical_not() in place of &&, || and !");
    return false;
  }

  /// This and what follows throw Error where it is empty, or its tape has ended.
  Shape shape(SourceLocation here = SourceLocation::current()) const;
  DType dtype(SourceLocation here = SourceLocation::current()) const;
  int rank(SourceLocation here = SourceLocation::current()) const { return shape(here).rank(); }
  /// The size of one axis; negative axes count from the end. Throws Error for an axis that is not
  /// there.
  int64_t size(int axis, SourceLocation here = SourceLocation::current()) const;

  /// The value, computed now if it was not before. The tensor is the caller's to keep: up to 4 KB
  /// a copy. A larger one is the tape's own memory, to read: if it is written to, the tape refuses
  /// to go on from there.
  Tensor value(SourceLocation here = SourceLocation::current()) const;
  /// The value of a single element. Throws Error where there are more.
  double item(SourceLocation here = SourceLocation::current()) const;
  /// The i-th output of the node that made this value.
  Var output(int i) const;

  uint32_t id() const { return id_; }
  /// The graph that the value is recorded in. Throws Error where the tape is gone.
  Graph& graph(SourceLocation here = SourceLocation::current()) const;

  /// x[i][j]: elements by computed indices, as <rapt/ops/shape/index.hpp> defines them.
  template <class Index = Arg>
  auto operator[](const std::type_identity_t<Index>& index) const {
    return index_array(*this, index);
  }

 private:
  friend struct Graph;

  Graph* graph_ = nullptr;
  uint32_t id_ = 0;
  uint32_t generation_ = 0;
};

/// An operand as a user writes it: a Var, a Parameter, a Tensor or a number. It remembers the line
/// where it was written, which is how an error finds the user's code.
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
  /// The same operand, as written at another line.
  Arg(const Arg& arg, SourceLocation here) : Arg(arg) { where = here; }

  bool is_number() const { return kind_ == Kind::number; }
  /// Whether it is a Var that holds nothing: an operand that is left out.
  bool is_empty() const { return kind_ == Kind::var && var_.is_empty(); }
  /// The Var; null for the other kinds.
  const Var* var() const { return kind_ == Kind::var ? &var_ : nullptr; }
  /// The graph of the Var; none for the other kinds. Throws Error for an empty Var.
  Graph* graph() const;
  /// The element type; float32 for a number.
  DType dtype() const;
  /// As a Var of the graph. A number becomes a constant of the type `number_type`.
  Var on(Graph& graph, DType number_type) const;

  SourceLocation where;

 private:
  enum class Kind : uint8_t { var, parameter, tensor, number };

  Kind kind_;
  Var var_;
  double number_ = 0;
  std::shared_ptr<void> held_;  // a ParameterState, or a Tensor: the operand may outlive its name
};

/// An operand as a Var of the current tape, or of the tape that it is on.
Var as_var(const Arg& arg);

}  // namespace rapt
