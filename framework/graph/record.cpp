// Recording of a node. Converts the operands to values of one graph, then runs the shape rule,
// which declares the outputs.
#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "framework/core/error.hpp"
#include "framework/core/out_of_memory.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

static Graph& find_graph(std::span<const Arg* const> args) {
  for (const Arg* arg : args) {
    if (Graph* graph = arg->graph()) return *graph;
  }
  Graph* const current = Graph::current();
  if (current == nullptr) {
    throw Error({.detail = "there is no tape to record on: Tape tape; comes first",
                 .place = place_of(args.empty() ? SourceLocation() : args.front()->where)});
  }
  return *current;
}

/// Returns the graph in which an operator with these operands is recorded. Usually this is the
/// current graph, which the first operand confirms.
static inline Graph& graph_of(std::span<const Arg* const> args) {
  const Var* const first = args.empty() ? nullptr : args.front()->var();
  Graph* const current = Graph::current();
  const bool found = first != nullptr && current != nullptr && current->holds(*first);
  return found ? *current : find_graph(args);
}

Var as_var(const Arg& arg) {
  const Arg* const operand = &arg;
  return or_out_of_memory([&] { return arg.on(graph_of(std::span(&operand, 1)), arg.dtype()); },
                          [&] {
                            return ErrorParts{.detail = "out of memory while an array is recorded",
                                              .place = place_of(arg.where)};
                          });
}

/// Node::inputs and Node::outputs have 16 bits.
static constexpr size_t most_inputs = 65535;
static constexpr uint16_t most_outputs = 65535;

int ShapeContext::inputs() const { return graph_.nodes[node_].inputs; }

static const Value& input_of(const Graph& graph, NodeId node, int i) {
  if (i < 0 || i >= graph.nodes[node].inputs) {
    throw Error(
        {.op = std::string(graph.nodes[node].op->name),
         .detail = fmt::format("its rule asks for input {} of {}", i, graph.nodes[node].inputs),
         .place = graph.written_at(graph.nodes[node])});
  }
  return graph.values[graph.inputs[graph.nodes[node].first_input + static_cast<uint32_t>(i)]];
}

Shape ShapeContext::input(int i) const { return input_of(graph_, node_, i).shape; }
DType ShapeContext::dtype(int i) const { return input_of(graph_, node_, i).dtype; }
Strides ShapeContext::strides(int i) const { return graph_.strides_of(input_of(graph_, node_, i)); }
std::span<const int64_t> ShapeContext::words() const {
  return graph_.words_of(graph_.nodes[node_]);
}

void ShapeContext::one_float_type(int count) const {
  for (int i = 0; i < count; ++i) {
    if (dtype(i) == dtype(0) && is_float(dtype(i))) continue;
    fail(fmt::format("expected operands of one float type, got {} and {}", name(dtype(0)),
                     name(dtype(i))),
         ErrorKind::type);
  }
}

/// Counts an output. Throws Error if the node already has the maximum number.
static void count_output(const ShapeContext& c, Node& node) {
  if (node.outputs == most_outputs) c.fail(fmt::format("has more than {} outputs", most_outputs));
  ++node.outputs;
}

void ShapeContext::output(const Shape& shape, DType dtype) {
  const ValueId id = graph_.values.next();
  (void)shape.size();  // throws if the number of elements is too large
  // `shape` may refer to an input's. So the new value is constructed before push_back moves the
  // others.
  graph_.values.push_back({.shape = shape, .node = node_, .base = id, .layout = 0, .dtype = dtype});
  count_output(*this, graph_.nodes[node_]);
}

void ShapeContext::view(const Shape& shape, const Strides& strides, int64_t offset) {
  const Value input = input_of(graph_, node_, 0);
  const int64_t start = graph_.offset_of(input) + offset;
  int64_t first = start, last = start;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const int64_t reach = strides[static_cast<size_t>(axis)] * (shape[axis] - 1);
    (reach < 0 ? first : last) += reach;
  }
  if (shape.size() > 0 && (first < 0 || last >= graph_.values[input.base].shape.size())) {
    fail(fmt::format("the view {} reaches outside of the memory of {}", to_string(shape),
                     to_string(graph_.values[input.base].shape)));
  }
  uint32_t layout = 0;
  if (start != 0 || !is_contiguous(shape, strides)) {
    graph_.layouts.push_back({strides, start});
    layout = static_cast<uint32_t>(graph_.layouts.size());
  }
  graph_.values.push_back(
      {.shape = shape, .node = node_, .base = input.base, .layout = layout, .dtype = input.dtype});
  count_output(*this, graph_.nodes[node_]);
}

void ShapeContext::fail(std::string_view message, ErrorKind kind) const {
  const Node& node = graph_.nodes[node_];
  throw Error({.kind = kind,
               .op = std::string(node.op->name),
               .detail = std::string(message),
               .place = graph_.written_at(node)});
}

/// Checks that an operator is complete. A view operator has a copy and no forward.
static void check(const Op& op) {
  const bool computes =
      op.cpu.forward != nullptr || op.cpu.rowwise != nullptr || op.cpu.pointwise != nullptr;
  if (op.shape && (computes || op.traits.copy != nullptr)) return;
  throw Error({.op = "record",
               .detail = fmt::format("the operator '{}' has no {}", op.name,
                                     op.shape ? "forward function" : "shape rule")});
}

/// A list for one call. It allocates memory only if it is long.
template <class T>
class ShortList {
 public:
  explicit ShortList(size_t size) : size_(size) {
    if (size > few) many_.resize(size);
    entries_ = size > few ? many_.data() : few_;
  }
  ShortList(const ShortList&) = delete;
  ShortList& operator=(const ShortList&) = delete;
  T& operator[](size_t i) { return entries_[i]; }
  std::span<const T> all() const { return {entries_, size_}; }

 private:
  static constexpr size_t few = 8;
  T few_[few];
  Recycled<T> many_;
  T* entries_;
  size_t size_;
};

Var record(StaticOp op, std::span<const Arg> args, std::span<const int64_t> words) {
  ShortList<const Arg*> operands(args.size());
  for (size_t i = 0; i < args.size(); ++i) operands[i] = &args[i];
  return record(op, operands.all(), words);
}

/// Returns the type of the first operand that is not a number.
static DType type_for_numbers(std::span<const Arg* const> args) {
  for (const Arg* arg : args) {
    if (!arg->is_number()) return arg->dtype();
  }
  return DType::float32;
}

/// Returns the most informative line of the operands. An operand that was passed to a layer has the
/// line of the layer's call. One that the layer has computed has a line inside the layer, which is
/// preferred.
static SourceLocation line_of(std::span<const Arg* const> args, const Scope& scope) {
  for (const Arg* arg : args) {
    // Compares bytes, because reading the line number would touch distant memory.
    const SourceLocation call = scope.where();
    if (std::memcmp(&arg->where, &call, sizeof call) != 0) return arg->where;
  }
  return args.empty() ? SourceLocation() : args.front()->where;
}

[[noreturn]] static void throw_memory_short(const Op& op, std::span<const Arg* const> args) {
  throw_out_of_memory([&] {
    return ErrorParts{
        .op = std::string(op.name),
        .detail = fmt::format("out of memory while it is recorded with {} operands", args.size()),
        .place = place_of(args.empty() ? SourceLocation() : args.front()->where)};
  });
}

Var record(StaticOp op, std::span<const Arg* const> args, std::span<const int64_t> words) try {
  Graph& graph = graph_of(args);
  check(*op);
  if (args.size() > most_inputs) {
    throw Error({.op = std::string(op->name),
                 .detail = fmt::format("has {} inputs, the most is {}", args.size(), most_inputs),
                 .place = place_of(args.front()->where)});
  }
  if (static_cast<size_t>(std::bit_width(op->traits.mutates)) > args.size()) {
    throw Error({.op = std::string(op->name),
                 .detail = fmt::format("writes to input {}, and has {} inputs",
                                       std::bit_width(op->traits.mutates) - 1, args.size()),
                 .place = args.empty() ? "an unknown line" : place_of(args.front()->where)});
  }
  // Records leaves and contiguous copies first, so that a node's own entries are contiguous.
  ShortList<ValueId> ids(args.size());
  for (size_t i = 0; i < args.size(); ++i) {
    const Var* const known = args[i]->var();
    const ValueId id = known != nullptr && graph.holds(*known)
                           ? known->id()
                           : args[i]->on(graph, type_for_numbers(args)).id();
    ids[i] = op->cpu.strided_inputs || op->traits.copy != nullptr
                 ? id
                 : graph.contiguous({graph, id}).id();
  }

  const NodeId node = graph.nodes.next();
  const ValueId first_value = graph.values.next();
  const auto first_input = static_cast<uint32_t>(graph.inputs.size());
  const auto first_word = static_cast<uint32_t>(graph.words.size());
  const size_t first_layout = graph.layouts.size();
  const size_t first_structure = graph.structure.size();
  Scope* scope = Scope::current();
  try {
    graph.nodes.push_back({.op = &*op,
                           .where = scope != nullptr ? scope->line_of(line_of(args, *scope))
                                    : args.empty()   ? SourceLocation()
                                                     : args.front()->where,
                           .scope = scope != nullptr ? graph.index_of(*scope) : 0,
                           .first_value = first_value,
                           .first_input = first_input,
                           .first_word = first_word,
                           .words = static_cast<uint32_t>(words.size()),
                           .inputs = static_cast<uint16_t>(args.size()),
                           .outputs = 0});
    // Copies element by element: the lists are short, and copying ranges would cost more.
    for (size_t i = 0; i < args.size(); ++i) graph.inputs.push_back(ids[i]);
    for (const int64_t word : words) graph.words.push_back(word);
    ShapeContext context(graph, node);
    try {
      op->shape(context);
    } catch (...) {  // a Shape that cannot be does not know the operator
      graph.rethrow_at(graph.nodes[node]);
    }
    if (graph.nodes[node].outputs == 0) context.fail("its shape rule declares no output");

    // Operators are compared by address. Counts and inputs are packed, two per word.
    graph.structure.push_back(reinterpret_cast<uint64_t>(&*op));
    graph.structure.push_back(static_cast<uint64_t>(args.size()) << 32 | words.size());
    for (size_t i = 0; i < args.size(); i += 2) {
      graph.structure.push_back(static_cast<uint64_t>(ids[i]) << 32 |
                                (i + 1 < args.size() ? index(ids[i + 1]) : 0));
    }
    for (const int64_t word : words) graph.structure.push_back(static_cast<uint64_t>(word));
    for (size_t i = 0; i < static_cast<size_t>(std::bit_width(op->traits.mutates)); ++i) {
      if ((op->traits.mutates >> i & 1) != 0) {
        graph.check_write(graph.values[ids[i]].base, graph.nodes[node]);
      }
    }
  } catch (...) {  // records all or nothing
    graph.nodes.resize(index(node));
    graph.values.resize(index(first_value));
    graph.inputs.resize(first_input);
    graph.words.resize(first_word);
    graph.layouts.resize(first_layout);
    graph.structure.resize(first_structure);
    throw;
  }
  for (size_t i = 0; i < static_cast<size_t>(std::bit_width(op->traits.mutates)); ++i) {
    if ((op->traits.mutates >> i & 1) != 0) graph.note_write(graph.values[ids[i]].base);
  }
  return {graph, first_value};
} catch (const OutOfMemory& error) {
  if (!error.place().empty()) throw;
  throw_memory_short(*op, args);
} catch (const std::bad_alloc&) {
  throw_memory_short(*op, args);
}

}  // namespace v0
}  // namespace rapt
