#include "framework/graph/graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>

#include "framework/core/error.hpp"
#include "framework/graph/place.hpp"

namespace rapt::internal {
namespace {

thread_local Graph* current_graph = nullptr;

/// A list of graphs, linked through `outer`. It needs no allocation, because a tape must be able to
/// end when memory is exhausted.
struct IdleGraphs {
  Graph* first = nullptr;

  void push(Graph* graph) {
    graph->outer = first;
    first = graph;
  }
  /// Removes and returns a graph, or returns null.
  Graph* pop() { return first == nullptr ? nullptr : std::exchange(first, first->outer); }
};

/// Graphs are kept for later tapes and never freed. Their memory is warm in the cache. A Var that
/// outlives its tape, or its thread, finds a graph of another generation instead of freed memory.
struct GraphPool {
  std::mutex mutex;
  IdleGraphs idle;

  static GraphPool& all() {
    static auto* pool = new GraphPool;
    return *pool;
  }
};

/// The idle graphs of this thread. The common pool takes them over when the thread ends. A tape
/// that is still alive then returns its graph when it ends, in whatever thread.
struct ThreadGraphs {
  IdleGraphs idle;

  ~ThreadGraphs();
};
thread_local bool thread_is_ending = false;
thread_local ThreadGraphs thread_graphs;

ThreadGraphs::~ThreadGraphs() {
  thread_is_ending = true;
  const std::lock_guard lock(GraphPool::all().mutex);
  while (Graph* graph = idle.pop()) GraphPool::all().idle.push(graph);
  for (Graph* graph = current_graph; graph != nullptr;) {
    Graph* const outer = graph->outer;
    graph->homeless = !graph->abandoned;
    if (graph->abandoned.exchange(false)) GraphPool::all().idle.push(graph);
    graph = outer;
  }
  current_graph = nullptr;
}

Graph* take_graph() {
  if (!thread_is_ending) {
    if (Graph* graph = thread_graphs.idle.pop()) return graph;
  }
  const std::lock_guard lock(GraphPool::all().mutex);
  Graph* graph = GraphPool::all().idle.pop();
  return graph != nullptr ? graph : new Graph;
}

void give_back(Graph* graph) {
  if (!thread_is_ending) {
    thread_graphs.idle.push(graph);
    return;
  }
  const std::lock_guard lock(GraphPool::all().mutex);
  GraphPool::all().idle.push(graph);
}

}  // namespace

Graph* Graph::begin() {
  Graph* const graph = take_graph();
  graph->outer = current();
  current_graph = graph;
  return graph;
}

void Graph::end(Graph* graph) {
  graph->clear();
  // Usually the innermost one, but tapes may end in any order.
  for (Graph** link = &current_graph; *link != nullptr; link = &(*link)->outer) {
    if (*link != graph) continue;
    *link = graph->outer;
    give_back(graph);
    return;
  }
  // It began in another thread, whose list of tapes this thread must not change.
  const std::lock_guard lock(GraphPool::all().mutex);
  if (!graph->homeless) {
    graph->abandoned = true;
    return;
  }
  graph->homeless = false;
  GraphPool::all().idle.push(graph);
}

/// Releases the innermost tapes that have ended in other threads.
static void leave_abandoned() {
  while (current_graph != nullptr && current_graph->abandoned) {
    Graph* const ended = std::exchange(current_graph, current_graph->outer);
    ended->abandoned = false;
    give_back(ended);
  }
}

Graph* Graph::current() {
  if (current_graph != nullptr && current_graph->abandoned) leave_abandoned();
  return current_graph;
}

uint32_t Graph::index_of(Scope& scope) {
  if (scope.graph_ == this && scope.generation_ == generation) return scope.index_;
  const uint32_t outer_index = scope.outer_ == nullptr ? 0 : index_of(*scope.outer_);
  // Overwrites the entries of earlier tapes, because the memory of their strings can be reused.
  if (used_scopes == scopes.size()) scopes.emplace_back();
  ScopeEntry& entry = scopes[used_scopes];
  scope.write_own_path(entry.path);
  entry.where = scope.where_;
  entry.outer = outer_index;
  scope.graph_ = this;
  scope.generation_ = generation;
  scope.index_ = static_cast<uint32_t>(++used_scopes);
  return scope.index_;
}

void Graph::clear() {
  nodes.clear();
  values.clear();
  layouts.clear();
  inputs.clear();
  words.clear();
  leaves.clear();
  used_scopes = 0;
  structure.clear();
  results.clear();
  result_of_.clear();
  originals_.clear();
  borrowed_.clear();
  written_.clear();
  ran_to = {};
  kept_from = kept_to = 0;
  copies_.clear();
  memos_.clear();
  parameter_leaves_.clear();
  training.reset();
  streams = 0;
  ++generation;
}

Var Graph::leaf(const Shape& shape, DType dtype, SourceLocation where) {
  const NodeId node = nodes.next();
  const ValueId value = values.next();
  const LeafId added = leaves.next();
  const size_t first_word = structure.size();
  try {
    nodes.push_back({.op = nullptr,
                     .where = where,
                     .scope = 0,
                     .first_value = value,
                     .first_input = 0,
                     .first_word = index(added),
                     .words = 0,
                     .inputs = 0,
                     .outputs = 1});
    values.push_back({.shape = shape, .node = node, .base = value, .layout = 0, .dtype = dtype});
    static const Leaf empty;
    // Copies an empty leaf. g++ would clear a new one with an instruction that has a long start-up
    // time.
    leaves.push_back(empty);
    structure.push_back(static_cast<uint64_t>(dtype) << 32 | static_cast<uint64_t>(shape.rank()));
    for (const int64_t dim : shape) structure.push_back(static_cast<uint64_t>(dim));
  } catch (...) {  // records all or nothing
    nodes.resize(index(node));
    values.resize(index(value));
    leaves.resize(index(added));
    structure.resize(first_word);
    throw;
  }
  return {*this, value};
}

Var Graph::constant(const Tensor& tensor, SourceLocation where) {
  if (!tensor) throw Error({.detail = "an empty tensor was used", .place = rapt::place_of(where)});
  const int64_t bytes = tensor.size() * size_of(tensor.dtype());
  if (!tensor.is_contiguous() || bytes <= most_copied_bytes || is_written(tensor)) {
    const Var var = shared(tensor.clone(), where);
    originals_.emplace_back(var.id(), tensor);
    return var;
  }
  const Var var = shared(tensor, where);
  leaves.back().version = fingerprint(tensor.bytes(), bytes);
  borrowed_.push_back(var.id());
  return var;
}

Var Graph::shared(const Tensor& tensor, SourceLocation where) {
  const Var var = leaf(tensor.shape(), tensor.dtype(), where);
  leaves.back().tensor = tensor;
  return var;
}

Var Graph::constant(double number, DType dtype, SourceLocation where) {
  std::array<int64_t, 2> bits{};
  switch (dtype) {
    case DType::float32: {
      const auto value = static_cast<float>(number);
      std::memcpy(bits.data(), &value, sizeof value);
      break;
    }
    case DType::float64:
      std::memcpy(bits.data(), &number, sizeof number);
      break;
    case DType::int32: {
      if (number != std::floor(number) || std::abs(number) > 2147483647) {
        throw Error({.detail = fmt::format(
                         "the number {} is no int32, the type of the other operand", number),
                     .place = rapt::place_of(where)});
      }
      const auto value = static_cast<int32_t>(number);
      std::memcpy(bits.data(), &value, sizeof value);
      break;
    }
    case DType::boolean:
      bits[0] = number != 0 ? 1 : 0;
      break;
  }
  const Var var = leaf({}, dtype, where);
  leaves.back().inline_value = bits;
  return var;
}

Var Graph::parameter(const std::shared_ptr<ParameterState>& parameter, SourceLocation where) {
  if (!parameter) {
    throw Error({.detail = "a parameter without a value was used", .place = rapt::place_of(where)});
  }
  const ParameterState* state = parameter.get();
  for (const auto& [known, value] : parameter_leaves_) {
    if (known == state) return {*this, value};
  }
  Scope* const scope = Scope::current();  // for the error about a parameter that has changed
  const uint32_t index = scope != nullptr ? index_of(*scope) : 0;
  const Var var = leaf(state->value.shape(), state->value.dtype(),
                       scope != nullptr ? scope->line_of(where) : where);
  nodes.back().scope = index;
  leaves.back().parameter = parameter;
  leaves.back().version = state->version;
  parameter_leaves_.emplace_back(state, var.id());
  return var;
}

Var Graph::key(SourceLocation where) {
  if (!training) {
    throw Error({.detail = "a random operator needs a tape for training: Tape tape{Training{key}}",
                 .place = rapt::place_of(where)});
  }
  const Var var = leaf({4}, DType::int32, where);
  const Key key = training->key.fold(static_cast<uint64_t>(streams++));
  leaves.back().inline_value = {static_cast<int64_t>(key.seed), static_cast<int64_t>(key.path)};
  return var;
}

void Graph::reserve_results(size_t more) {
  // Grows in large steps. A loop that asks for many values must not copy the list each time.
  const size_t needed = results.size() + more;
  if (needed > results.capacity()) results.reserve(std::max(needed, 2 * results.capacity()));
  if (result_of_.size() < values.size()) result_of_.resize(values.size(), 0);
}

void Graph::add_result(ValueId value, Tensor tensor) {
  reserve_results(1);
  if (result_of_[value] != 0) return;
  results.push_back({value, std::move(tensor), 0});
  result_of_[value] = static_cast<uint32_t>(results.size());
}

Tensor Graph::hand_out(ValueId value) {
  const ValueId base = values[value].base;
  for (const ValueId known : {value, base}) {
    if (result(known) == nullptr) continue;
    Result& own = results[result_of_[known] - 1];
    const int64_t bytes = own.tensor.size() * size_of(own.tensor.dtype());
    if (known == value && bytes <= most_copied_bytes) return own.tensor.clone();
    // If the value is a view, covers the whole array that it views.
    if (own.fingerprint == 0 && own.tensor.is_contiguous()) {
      own.fingerprint = fingerprint(own.tensor.bytes(), bytes);
    }
  }
  return *result(value);
}

void Graph::check_unchanged(ValueId value) const {
  const Node& node = nodes[values[value].node];
  const bool is_leaf = node.op == nullptr;
  const Tensor* const tensor = is_leaf ? &leaves[node.leaf()].tensor : result(value);
  if (tensor == nullptr || !*tensor) return;
  const uint64_t known =
      is_leaf ? leaves[node.leaf()].version : results[result_of_[value] - 1].fingerprint;
  if (known == 0) return;
  if (fingerprint(tensor->bytes(), tensor->size() * size_of(tensor->dtype())) == known) return;
  throw Error({.detail = fmt::format(
                   "the tensor {} {} has been written to, and the tape needs its values: {}",
                   to_string(tensor->shape()), is_leaf ? "that was recorded" : "that value() gave",
                   is_leaf ? "record a clone(), or ask for what depends on it first"
                           : "write to a clone()"),
               .place = written_at(node)});
}

const Tensor& Graph::memory_of(const Leaf& leaf) {
  return leaf.parameter ? leaf.parameter->value : leaf.tensor;
}

/// True if two contiguous tensors share memory.
static bool overlap(const Tensor& a, const Tensor& b) {
  const auto begin = [](const Tensor& t) { return static_cast<const std::byte*>(t.bytes()); };
  const auto end = [&](const Tensor& t) { return begin(t) + t.size() * size_of(t.dtype()); };
  return begin(a) < end(b) && begin(b) < end(a);
}

bool Graph::is_written(const Tensor& tensor) {
  return std::any_of(written_.begin(), written_.end(),
                     [&](ValueId written) { return overlap(memory_of(leaf_of(written)), tensor); });
}

void Graph::check_write(ValueId value, const Node& writer) {
  const auto fail = [&](const std::string& message) {
    throw Error(
        {.op = std::string(writer.op->name), .detail = message, .place = written_at(writer)});
  };
  const Node& node = nodes[values[value].node];
  if (node.op != nullptr) {
    fail(fmt::format("only a leaf can be written to, this is the result of {} at {}", node.op->name,
                     written_at(node)));
  }
  Leaf& written = leaf_of(value);
  if (!written.parameter) written.version = 0;
  for (const auto& [copy, original] : originals_) {
    if (copy != value || written.tensor.bytes() == original.bytes()) continue;
    const bool twice = original.is_contiguous() && is_written(original);
    if (!original.is_contiguous() || twice) {
      fail(fmt::format("the tensor {} {}", to_string(original.shape()),
                       twice ? "is written to through another Var of it"
                             : "has strides and cannot be written to"));
    }
    written.tensor = original;
  }
  // Other leaves that were recorded from this memory keep their values from before the update.
  for (const ValueId other : borrowed_) {
    Leaf& leaf = leaf_of(other);
    if (leaf.version == 0 || !overlap(memory_of(written), leaf.tensor)) continue;
    check_unchanged(other);
    originals_.emplace_back(other, leaf.tensor);
    leaf.tensor = leaf.tensor.clone();
    leaf.version = 0;
  }
  make_memo(value);
  written_.push_back(value);
}

void Graph::note_write(ValueId value) { memos_[value] = {}; }

std::byte* Graph::leaf_data(ValueId value) const {
  const Node& node = nodes[values[value].node];
  const Leaf& leaf = leaves[node.leaf()];
  if (leaf.parameter) {
    if (leaf.parameter->version != leaf.version) {
      throw Error({.detail = fmt::format(
                       "the parameter '{}' has changed since it was recorded: ask for its values "
                       "before the update, or with it (step(loss, {{value}})), or on a new Tape",
                       leaf.parameter->name),
                   .place = written_at(node)});
    }
    return static_cast<std::byte*>(leaf.parameter->value.bytes());
  }
  if (leaf.tensor) return static_cast<std::byte*>(leaf.tensor.bytes());
  return reinterpret_cast<std::byte*>(const_cast<int64_t*>(leaf.inline_value.data()));
}

std::string Graph::written_at(const Node& node) const {
  Place place(node.where);
  for (uint32_t index = node.scope; index != 0;) {
    const ScopeEntry& entry = scopes[index - 1];
    place.add_line(entry.where);
    place.add_path(entry.path);
    index = entry.outer;
  }
  return place.text();
}

Var Graph::contiguous(const Var& var) {
  const Value& value = values[var.id()];
  if (value.layout == 0 || is_contiguous(value.shape, layouts[value.layout - 1].strides))
    return var;
  for (auto it = copies_.rbegin(); it != copies_.rend(); ++it) {
    if (it->first == var.id()) return {*this, it->second};
  }
  const Node& node = nodes[value.node];
  const Var copy = record(StaticOp::of_node(node.op->traits.copy), {Arg(var, node.where)});
  copies_.emplace_back(var.id(), copy.id());
  return copy;
}

uint32_t& Graph::memo(const Op& owner, ValueId value) {
  make_memo(value);
  Memo& memo = memos_[value];
  if (memo.owner != &owner) memo = {&owner, 0};
  return memo.number;
}

void Graph::make_memo(ValueId value) {
  if (value >= memos_.next()) memos_.resize(index(value + 1));
}

void Graph::rethrow_at(const Node& node) const {
  const auto parts = [&](const std::exception& error) {
    return ErrorParts{.kind = Error::kind_of(error),
                      .op = std::string(node.op->name),
                      .detail = error.what(),
                      .place = written_at(node)};
  };
  try {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const OutOfMemory&) {
    throw;
  } catch (const Error& error) {
    if (!error.place().empty()) throw;
    switch (error.kind()) {
      case ErrorKind::not_finite:
        throw NonFiniteError(parts(error));
      case ErrorKind::file:
        throw FileError(parts(error));
      case ErrorKind::usage:
      case ErrorKind::shape:
      case ErrorKind::type:
      case ErrorKind::memory:
        break;
    }
    throw Error(parts(error));
  } catch (const std::exception& error) {
    throw Error(parts(error));
  }
}

}  // namespace rapt::internal
