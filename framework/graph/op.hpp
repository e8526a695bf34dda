// The record that defines an operator, and the contexts that its functions receive.
//
// An operator is one immutable `Op` in three parts: what it means (name, shape rule, gradient,
// reference composition), what a planner may do with it, and how the CPU computes it. Operators of
// the library and of its users have the same form.
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

namespace rapt::internal {
struct Graph;
struct FusedGroup;
}

namespace rapt {
inline namespace v0 RAPT_API {

/// An array as a kernel sees it: address, element type, shape and strides. It owns nothing.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::float32;
  Shape shape;
  Strides strides{};

  /// Returns the data as elements of type T. The type is not checked.
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  int64_t size() const { return shape.size(); }
};

/// The place of an array within the memory of another one, in elements.
struct Layout {
  Strides strides;
  int64_t offset;
};

/// Attributes are structs whose members all have eight bytes (int64_t, double, arrays of these).
/// Two nodes can then be compared word by word.
template <class A>
concept Attributes = std::is_trivially_copyable_v<A> && sizeof(A) % 8 == 0 && alignof(A) == 8;

/// Returns attributes as words of eight bytes.
template <Attributes A>
std::span<const int64_t> words_of(const A& attributes) {
  return {reinterpret_cast<const int64_t*>(&attributes), sizeof(A) / 8};
}

/// Returns words as attributes of type A.
template <Attributes A>
A attributes_of(std::span<const int64_t> words) {
  A attributes;
  std::memcpy(&attributes, words.data(), sizeof(A));
  return attributes;
}

/// The argument of a shape rule. It gives access to the inputs' shapes, but not to their values.
class ShapeContext {
 public:
  ShapeContext(internal::Graph& graph, NodeId node) : graph_(graph), node_(node) {}

  int inputs() const;
  /// Returns a copy, because declaring an output reallocates the graph's list of shapes.
  Shape input(int i) const;
  DType dtype(int i = 0) const;
  Strides strides(int i) const;
  std::span<const int64_t> words() const;
  template <Attributes A>
  A attributes() const {
    return attributes_of<A>(words());
  }

  /// Throws Error unless the first `count` inputs all have the same float type.
  void one_float_type(int count) const;
  /// Declares the next output.
  void output(const Shape& shape, DType dtype);
  /// Declares the next output as a view of input 0's memory. `offset` is in elements.
  void view(const Shape& shape, const Strides& strides, int64_t offset);
  /// Throws Error with the operator's name, the message, the layer path and the user's line.
  [[noreturn]] void fail(std::string_view message, ErrorKind kind = ErrorKind::shape) const;

  /// The graph that is recorded, and the node's number in it. For rules that run so often that the
  /// accessors above would be too slow.
  const internal::Graph& graph() const { return graph_; }
  NodeId node() const { return node_; }

 private:
  internal::Graph& graph_;
  NodeId node_;
};

/// The argument of a forward function when a step runs.
class ForwardContext {
 public:
  using ParallelFor = void (*)(int64_t n, FunctionRef<void(int64_t)> body);

  ForwardContext(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                 std::span<const int64_t> words, void* scratch, ParallelFor parallel_for,
                 const void* program, int threads = 1)
      : inputs_(inputs),
        outputs_(outputs),
        words_(words),
        scratch_(scratch),
        parallel_(parallel_for),
        program_(program),
        threads_(threads) {}

  int inputs() const { return static_cast<int>(inputs_.size()); }
  const TensorView& input(int i) const { return inputs_[static_cast<size_t>(i)]; }
  const TensorView& output(int i = 0) const { return outputs_[static_cast<size_t>(i)]; }
  int outputs() const { return static_cast<int>(outputs_.size()); }
  std::span<const int64_t> words() const { return words_; }
  template <Attributes A>
  A attributes() const {
    return attributes_of<A>(words_);
  }
  /// Returns the working memory that the operator's scratch rule asked for, aligned to 64 bytes.
  void* scratch() const { return scratch_; }
  /// Returns the number of threads that share the loops of this call. For grouping work only:
  /// results must not depend on it.
  int threads() const { return threads_; }
  /// Returns the compiled program of a fused group of elementwise nodes.
  const void* program() const { return program_; }
  /// Calls body(0) ... body(n - 1), possibly concurrently. The calls must not write to overlapping
  /// memory. n must follow from shapes alone: then any number of threads gives the same bits.
  void parallel(int64_t n, FunctionRef<void(int64_t)> body) const { parallel_(n, body); }

 private:
  std::span<const TensorView> inputs_;
  std::span<const TensorView> outputs_;
  std::span<const int64_t> words_;
  void* scratch_;
  ParallelFor parallel_;
  const void* program_;
  int threads_;
};

/// The argument of a gradient rule. It works on Vars, with which the rule records more nodes.
class GradientContext {
 public:
  virtual ~GradientContext() = default;
  virtual Var input(int i) const = 0;
  virtual Var output(int i = 0) const = 0;
  virtual int inputs() const = 0;
  /// True if the gradient of input i is wanted. A rule may set it in any case.
  virtual bool needs(int i) const = 0;
  /// True if the loss depends on output i.
  virtual bool has_output_grad(int i) const = 0;
  /// Returns the gradient of output i, or zeros if the loss does not depend on it.
  virtual Var output_grad(int i = 0) const = 0;
  /// Returns the variable in which the rule stores the gradient of input i. The gradient may have
  /// any shape that the input's shape broadcasts to. Broadcast axes are then summed.
  virtual Var& input_grad(int i) = 0;
  virtual std::span<const int64_t> words() const = 0;
  template <Attributes A>
  A attributes() const {
    return attributes_of<A>(words());
  }
};

/// The argument of a reference composition. It holds the inputs, and receives the outputs, which
/// the composition computes with simpler operators.
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

/// A shape rule: a captureless lambda. It returns the shape of the only output, whose dtype is that
/// of input 0. Or it returns nothing and declares the outputs itself.
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

/// The rows of an operator that works row by row, as far as shapes determine them.
struct RowExtent {
  int64_t count = 0;  ///< number of rows
  int64_t width = 1;  ///< elements per row; the arrays have count * width elements
  int64_t block = 1;  ///< ranges begin at multiples of this number of rows
  int64_t range = 1;  ///< number of rows that is worth a task
  /// Bit i: row r of the outputs needs only row r of input i. Such a row has one element or `width`
  /// elements, and the rows lie one after the other.
  uint32_t inputs = 0;
  /// Bit i: output i is computed row by row, with the same layout.
  uint32_t outputs = 0;
};

/// The functions of an operator that works row by row. Where such operators follow each other on
/// the same rows, the executor runs all of them on a few rows before it proceeds to the next rows.
/// The data then stay in the cache.
struct Rowwise {
  /// Returns the rows. Called with shapes, without data.
  RowExtent (*extent)(const ForwardContext& c);
  /// Computes the rows [begin, end). Must not throw, nor use worker_scratch().
  void (*rows)(const ForwardContext& c, int64_t begin, int64_t end);
  /// Does the work that remains after all rows, if there is any.
  void (*finish)(const ForwardContext& c) = nullptr;
};

/// Describes how elementwise operators of one family become fused programs. A node of such an
/// operator is one instruction. The planner gathers chains of such nodes into groups.
struct PointwiseFamily {
  /// Compiles the program of a group.
  std::shared_ptr<const void> (*compile)(const internal::FusedGroup& group);
  /// Runs a program (ForwardContext::program) on its inputs and outputs. `extent` is called without
  /// a program.
  Rowwise program;
};

/// How results of an operator are summed where several of them contribute to one gradient, with
/// less work than one addition after the other. So the backward pass of T slices of an array of T
/// rows costs O(T), and a weight used T times gets one product in place of T.
struct SumRule {
  /// True if this result can take part.
  bool (*applies)(const Var& result);
  /// Records the sum of such results, which have one shape. At least two.
  Var (*sum)(std::span<const Var> results);
};

struct Op;

/// What a planner may do with an operator, whatever computes it. The defaults are always safe.
struct OpTraits {
  /// True if each element of the output is the element of input 0 that broadcasting puts there.
  bool broadcasts = false;
  /// Only for view operators: the operator that copies a strided view to contiguous memory.
  const Op* copy = nullptr;
  /// True if the operator is elementwise and output 0 is input 0 + input 1.
  bool is_sum = false;
  /// Bit i: output 0 may be written in place of input i if the shapes agree.
  uint32_t in_place = 0;
  /// Bit i: the operator writes to input i, the memory of a leaf (an optimizer's update).
  uint32_t mutates = 0;
  /// Bit i: input i is a key of random numbers. Its type does not enter the arithmetic.
  uint32_t keys = 0;
  /// True if infinities in the outputs are legitimate (a masked score). The guard lets them pass.
  bool makes_infinity = false;
};

/// How the CPU computes an operator: by `forward`, `rowwise` or `pointwise`. A view operator has
/// none of them.
struct CpuOp {
  /// Computes the outputs from the inputs.
  void (*forward)(const ForwardContext& c) = nullptr;
  /// Computes the outputs row by row.
  const Rowwise* rowwise = nullptr;
  /// The family of an elementwise operator. `code` is the operator's instruction in it.
  const PointwiseFamily* pointwise = nullptr;
  int64_t code = 0;
  /// Returns the bytes of working memory that forward needs. Called with shapes and strides,
  /// without data.
  int64_t (*scratch)(const ForwardContext& c) = nullptr;
  /// Returns the number of floating-point operations of forward. Only for operators that are bound
  /// by arithmetic and not by memory (matrix products). The planner and traces use it.
  double (*flops)(const ForwardContext& c) = nullptr;
  /// Returns the bytes that forward reads and writes, if this is not the sum of all its inputs and
  /// outputs.
  double (*bytes)(const ForwardContext& c) = nullptr;
  /// True if forward reads inputs through their strides. Otherwise strided inputs are copied first.
  bool strided_inputs = false;
  /// Bit i: forward writes output i through its strides. The last stride is 1.
  uint32_t strided_outputs = 0;
  /// Returns true if forward, with these attributes, can add one extra input to output 0. The extra
  /// input was not recorded, comes last, and has the layout of output 0. It is added at the end,
  /// with the rounding of a separate addition.
  bool (*fuses_residual)(std::span<const int64_t> words) = nullptr;
  /// Returns the layout of input i within output 0, for an operator that only concatenates its
  /// inputs; else nothing. Called with shapes and strides, without data. If the maker of an input
  /// has already written it to that place, forward does not copy it.
  std::optional<Layout> (*piece_of_output)(const ForwardContext& c, int i) = nullptr;
};

/// An operator: what it means, what a planner may do with it, and how the CPU computes it. Members
/// that do not apply keep their defaults.
struct Op {
  std::string_view name;  ///< the name in messages, plans and traces
  /// Checks the inputs and declares the outputs.
  ShapeRule shape;
  /// Appends the nodes of the inputs' gradients. If it is absent, the reference is differentiated.
  /// If both are absent, no gradient flows to the inputs.
  void (*gradient)(GradientContext& c) = nullptr;
  /// Computes the same result with plain operators. It defines a fused operator, serves as the
  /// oracle of its tests, and is differentiated for its second derivative.
  void (*reference)(ReferenceContext& c) = nullptr;
  /// How several results that contribute to one gradient are summed, if not by additions.
  const SumRule* sum_rule = nullptr;
  OpTraits traits{};  ///< what a planner may do with it
  CpuOp cpu{};        ///< how the CPU computes it
};

/// A reference to an operator's record in static memory. Nodes and plans keep and compare its
/// address, so it must not move until the program ends. A record inside a function is a
/// `static const Op`. The compiler rejects any other storage.
class StaticOp {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor): an Op is what users write
  consteval StaticOp(const Op& op_in_static_memory) : op_(&op_in_static_memory) {}
  /// Wraps the operator of a recorded node.
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

/// Records a node of `op` and returns its first output. The tape is that of the first input that is
/// on one, else the current tape. Throws Error if the shape rule rejects the inputs or they are on
/// different tapes.
Var record(StaticOp op, std::span<const Arg> inputs, std::span<const int64_t> words = {});
/// Records a node whose inputs are given by pointers.
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

}  // namespace v0
}  // namespace rapt
