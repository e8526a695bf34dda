// The record that an operator is, and what its functions are given.
//
// An operator is one immutable `Op`: a name, a shape rule, a forward function, a gradient rule, and
// a reference composition. The library's operators and a user's own are the same kind of record.
#pragma once

#include <concepts>
#include <cstring>
#include <optional>
#include <type_traits>

#include "framework/core/api.hpp"
#include "framework/core/error.hpp"
#include "framework/core/function_ref.hpp"
#include "framework/core/shape.hpp"
#include "framework/graph/var.hpp"

namespace rapt RAPT_API {

struct Graph;
struct Op;
struct FusedGroup;

/// Memory as a kernel sees it: where, what and in which shape. Nothing is owned.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::float32;
  Shape shape;
  Strides strides{};

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  int64_t size() const { return shape.size(); }
};

/// Where an array lies in the memory of another, in elements.
struct Layout {
  Strides strides;
  int64_t offset;
};

/// Attributes are structs whose members all have eight bytes (int64_t, double, arrays of these),
/// so that two nodes can be compared word by word.
template <class A>
concept Attributes = std::is_trivially_copyable_v<A> && sizeof(A) % 8 == 0 && alignof(A) == 8;

template <Attributes A>
std::span<const int64_t> words_of(const A& attributes) {
  return {reinterpret_cast<const int64_t*>(&attributes), sizeof(A) / 8};
}

template <Attributes A>
A attributes_of(std::span<const int64_t> words) {
  A attributes;
  std::memcpy(&attributes, words.data(), sizeof(A));
  return attributes;
}

/// What a shape rule is given: the inputs' shapes, not their values.
class ShapeContext {
 public:
  ShapeContext(Graph& graph, uint32_t node) : graph_(graph), node_(node) {}

  int inputs() const;
  /// By value: an output that is declared moves the graph's list of shapes.
  Shape input(int i) const;
  DType dtype(int i = 0) const;
  Strides strides(int i) const;
  std::span<const int64_t> words() const;
  template <Attributes A>
  A attributes() const {
    return attributes_of<A>(words());
  }

  /// Declares the next output.
  void output(const Shape& shape, DType dtype);
  /// Declares the next output as another look at input 0's memory; `offset` in elements.
  void view(const Shape& shape, const Strides& strides, int64_t offset);
  /// Throws Error: the operator's name, the message, the layer path, the user's line.
  [[noreturn]] void fail(std::string_view message, ErrorKind kind = ErrorKind::shape) const;

  /// The recording, and the node's number in it: for rules that cost as much as all else.
  const Graph& graph() const { return graph_; }
  uint32_t node() const { return node_; }

 private:
  Graph& graph_;
  uint32_t node_;
};

/// What a forward function is given when a step runs.
class ForwardContext {
 public:
  using ParallelFor = void (*)(int64_t n, FunctionRef<void(int64_t)> body);

  ForwardContext(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                 std::span<const int64_t> words, void* scratch, ParallelFor parallel_for,
                 const void* program)
      : inputs_(inputs),
        outputs_(outputs),
        words_(words),
        scratch_(scratch),
        parallel_(parallel_for),
        program_(program) {}

  int inputs() const { return static_cast<int>(inputs_.size()); }
  const TensorView& input(int i) const { return inputs_[static_cast<size_t>(i)]; }
  const TensorView& output(int i = 0) const { return outputs_[static_cast<size_t>(i)]; }
  int outputs() const { return static_cast<int>(outputs_.size()); }
  std::span<const int64_t> words() const { return words_; }
  template <Attributes A>
  A attributes() const {
    return attributes_of<A>(words_);
  }
  /// The memory that the operator's scratch rule asked for, aligned to 64 bytes.
  void* scratch() const { return scratch_; }
  /// The fused program of a group of elementwise nodes.
  const void* program() const { return program_; }
  /// Calls body(0) ... body(n - 1), possibly at the same time. What the calls write must not
  /// overlap, and n must follow from shapes alone: then any number of threads gives the same bits.
  void parallel(int64_t n, FunctionRef<void(int64_t)> body) const { parallel_(n, body); }

 private:
  std::span<const TensorView> inputs_;
  std::span<const TensorView> outputs_;
  std::span<const int64_t> words_;
  void* scratch_;
  ParallelFor parallel_;
  const void* program_;
};

/// What a gradient rule is given: Vars, on which it records more nodes.
class GradientContext {
 public:
  virtual ~GradientContext() = default;
  virtual Var input(int i) const = 0;
  virtual Var output(int i = 0) const = 0;
  virtual int inputs() const = 0;
  /// Whether anybody asked for the gradient of input i; a rule may always give it.
  virtual bool needs(int i) const = 0;
  /// Whether output i takes part in the loss.
  virtual bool has_output_grad(int i) const = 0;
  /// The gradient of output i; zeros where it takes no part.
  virtual Var output_grad(int i = 0) const = 0;
  /// Where the rule puts the gradient of input i. It may have a shape that broadcasting would
  /// have made of the input's: what was spread is summed back.
  virtual Var& input_grad(int i) = 0;
  virtual std::span<const int64_t> words() const = 0;
  template <Attributes A>
  A attributes() const {
    return attributes_of<A>(words());
  }
};

/// What a reference composition is given: the operator's inputs; it sets the outputs, in plainer
/// operators.
class ReferenceContext {
 public:
  ReferenceContext(std::span<const Var> inputs, std::span<Var> outputs,
                   std::span<const int64_t> words)
      : inputs_(inputs), outputs_(outputs), words_(words) {}

  const Var& input(int i) const { return inputs_[static_cast<size_t>(i)]; }
  int inputs() const { return static_cast<int>(inputs_.size()); }
  Var& output(int i = 0) { return outputs_[static_cast<size_t>(i)]; }
  std::span<const int64_t> words() const { return words_; }
  template <Attributes A>
  A attributes() const {
    return attributes_of<A>(words_);
  }

 private:
  std::span<const Var> inputs_;
  std::span<Var> outputs_;
  std::span<const int64_t> words_;
};

/// A shape rule: a captureless lambda that returns the one output's Shape (its dtype is input 0's),
/// or returns nothing and declares outputs itself.
class ShapeRule {
 public:
  ShapeRule() = default;
  template <class Rule>
  requires std::is_invocable_v<Rule, ShapeContext&> && std::is_empty_v<Rule>
  constexpr ShapeRule(Rule) {  // NOLINT(google-explicit-constructor): reads as a plain field
    rule_ = [](ShapeContext& c) {
      if constexpr (std::is_void_v<std::invoke_result_t<Rule, ShapeContext&>>) {
        Rule{}(c);
      } else {
        const Shape shape = Rule{}(c);
        c.output(shape, c.dtype());
      }
    };
  }
  constexpr ShapeRule(void (*rule)(ShapeContext&))
      : rule_(rule) {}  // NOLINT(google-explicit-constructor)
  explicit operator bool() const { return rule_ != nullptr; }
  void operator()(ShapeContext& c) const { rule_(c); }

 private:
  void (*rule_)(ShapeContext&) = nullptr;
};

/// What an operator that works row by row says of its rows, from shapes alone.
struct RowExtent {
  int64_t count = 0;  // rows
  int64_t width = 1;  // elements of one: count * width are those of the arrays
  int64_t block = 1;  // a range begins at a multiple of so many rows
  int64_t range = 1;  // rows that are worth a task
  /// Bit i: of input i, a row needs its own row alone, of one element or `width` of them, and these
  /// lie one after the other.
  uint32_t inputs = 0;
  /// Bit i: output i is made row by row, in the same way.
  uint32_t outputs = 0;
};

/// An operator that works row by row. Where one follows another on the same rows, the executor runs
/// both on a few rows before it goes on to the next few, while these are in the cache.
struct Rowwise {
  RowExtent (*extent)(const ForwardContext& c);
  /// Handles the rows [begin, end). Must not throw, nor use worker_scratch().
  void (*rows)(const ForwardContext& c, int64_t begin, int64_t end);
  /// What is left to do after all rows, if anything.
  void (*finish)(const ForwardContext& c) = nullptr;
};

/// How elementwise operators of one family become fused programs. A node of such an operator is
/// one instruction; the planner gathers chains of them into groups.
struct PointwiseFamily {
  /// Makes the program of a group.
  std::shared_ptr<const void> (*compile)(const FusedGroup& group);
  /// Runs a program (ForwardContext::program) over its inputs and outputs; its extent is asked for
  /// without one.
  Rowwise program;
};

struct Op {
  std::string_view name;
  /// Checks the inputs and declares the outputs.
  ShapeRule shape;
  /// Computes the outputs from the inputs. Absent for views, pointwise and rowwise operators.
  void (*forward)(const ForwardContext& c) = nullptr;
  /// The same, row by row.
  const Rowwise* rowwise = nullptr;
  /// Appends the nodes of the inputs' gradients. Absent: the reference is differentiated, and
  /// where there is none either, no gradient passes.
  void (*gradient)(GradientContext& c) = nullptr;
  /// The same thing in plain operators: the meaning of a fused operator, the oracle of its tests
  /// and the way to its second derivative.
  void (*reference)(ReferenceContext& c) = nullptr;
  /// Bytes of working memory that forward needs; called with shapes and strides, without data.
  int64_t (*scratch)(const ForwardContext& c) = nullptr;
  /// Floating-point operations of forward, where they and not the memory it touches decide its time
  /// (matrix products). For the planner and for traces.
  double (*flops)(const ForwardContext& c) = nullptr;
  /// Bytes that forward touches, where these are not all of its inputs and outputs.
  double (*bytes)(const ForwardContext& c) = nullptr;
  /// The instruction that this operator is, in a family of pointwise operators.
  const PointwiseFamily* pointwise = nullptr;
  int64_t code = 0;
  /// A view operator's: the operator that copies a strided view to contiguous memory.
  const Op* copy = nullptr;
  /// forward reads inputs through their strides; without it, strided inputs are copied first.
  bool strided = false;
  /// Infinities in its outputs have a meaning (a masked score): the guard lets them pass.
  bool makes_infinity = false;
  /// Elementwise, output 0 is input 0 + input 1.
  bool sum = false;
  /// Whether forward, with these attributes, adds one input more than was recorded, the last one,
  /// laid out as output 0, to output 0: after all else, rounded as a sum of its own would be.
  bool (*adds)(std::span<const int64_t> words) = nullptr;
  /// Bit i: forward may write output 0 where input i lies, when the shapes agree.
  uint32_t in_place = 0;
  /// Bit i: forward writes output i through its strides, of which the last is 1.
  uint32_t strided_outputs = 0;
  /// Where input i lies in output 0, of an operator that does nothing but put its inputs together,
  /// or nothing. Called with shapes and strides, without data. An input whose maker has written it
  /// right there is not copied by forward.
  std::optional<Layout> (*place)(const ForwardContext& c, int i) = nullptr;
  /// Bit i: forward writes to input i, a leaf's memory (an optimizer's update).
  uint32_t mutates = 0;
};

/// An operator's record, in static memory. Nodes and plans keep its address and compare it, so that
/// it has to stay where it is until the program ends: a record in a function is `static const Op`.
/// The compiler refuses any other.
class StaticOp {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): an Op is what users write
  consteval StaticOp(const Op& op_in_static_memory) : op_(&op_in_static_memory) {}
  /// That of a node that was recorded.
  static StaticOp of_node(const Op* op) {
    StaticOp result;
    result.op_ = op;
    return result;
  }
  const Op& operator*() const { return *op_; }
  const Op* operator->() const { return op_; }

 private:
  StaticOp() = default;

  const Op* op_ = nullptr;
};

/// Records a node of `op` on the tape of the first input that is on one, or else on the current
/// tape, and returns its first output. Throws Error where the shape rule refuses the inputs, or
/// where they are on different tapes.
Var record(StaticOp op, std::span<const Arg> inputs, std::span<const int64_t> words = {});
/// The same, of inputs where they lie.
Var record(StaticOp op, std::span<const Arg* const> inputs, std::span<const int64_t> words);
template <std::same_as<Arg>... Args>
requires(sizeof...(Args) > 0) Var record(StaticOp op, const Args&... inputs) {
  const Arg* const list[] = {&inputs...};
  return record(op, std::span<const Arg* const>(list), {});
}
inline Var record(StaticOp op, std::initializer_list<Arg> inputs) {
  return record(op, std::span(inputs.begin(), inputs.size()));
}
template <Attributes A>
Var record(StaticOp op, std::initializer_list<Arg> inputs, const A& attributes) {
  return record(op, std::span(inputs.begin(), inputs.size()), words_of(attributes));
}
template <Attributes A>
Var record(StaticOp op, std::span<const Arg> inputs, const A& attributes) {
  return record(op, inputs, words_of(attributes));
}

}  // namespace rapt
