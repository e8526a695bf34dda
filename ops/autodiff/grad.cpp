#include "ops/autodiff/grad.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "framework/core/error.hpp"
#include "framework/core/out_of_memory.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

Var filled(Graph& graph, double number, const Shape& shape, DType dtype, SourceLocation where) {
  const Var scalar = graph.constant(number, dtype, where);
  return shape.rank() == 0 ? scalar : broadcast_to(Arg(scalar, where), shape);
}

/// One backward pass over a part of a tape.
class Backward final : public GradientContext {
 public:
  /// Backward object from the thread's pool. Objects are reused because their memory is in the
  /// cache. Several are in use if a reference is differentiated. The pool is a list linked through
  /// the objects, so that returning one cannot fail.
  class Lease {
   public:
    Lease() {
      if (idle_walks == nullptr) idle_walks = std::make_unique<Backward>();
      walk_ = std::move(idle_walks);
      idle_walks = std::move(walk_->next_);
    }
    ~Lease() {
      walk_->next_ = std::move(idle_walks);
      idle_walks = std::move(walk_);
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Backward* operator->() const { return walk_.get(); }

   private:
    static thread_local std::unique_ptr<Backward> idle_walks;
    std::unique_ptr<Backward> walk_;
  };

  /// Runs the pass. Returns the number of elements of `wrt` that a gradient has reached.
  size_t run(Graph& graph, std::span<const Var> outputs, std::span<const Var> seeds,
             std::span<const Var> wrt, std::span<Var> grads) {
    graph_ = &graph;
    mark(outputs, wrt);
    heads_.assign(index(first_value_of(last_node_ + 1)), 0);
    parts_.assign(1, {});  // number 0 marks the end of every list
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!seeds[i].is_empty()) add_seed(outputs[i], seeds[i]);
    }
    for (NodeId n = last_node_ + 1; n > first_node_;) {
      --n;
      if (depends_[n - first_node_] && graph_->nodes[n].op != nullptr) visit(n);
    }
    size_t reached = 0;
    for (size_t i = 0; i < wrt.size(); ++i) {
      const Var& var = wrt[i];
      const ValueId total = var.id() < heads_.next() ? total_of(var.id()) : none;
      if (total != none) {
        grads[i] = {*graph_, total};
        ++reached;
        continue;
      }
      const Node node = graph_->nodes[graph_->values[var.id()].node];
      const Scope scope = graph_->scope_of(node);
      grads[i] = filled(*graph_, 0, var.shape(), var.dtype(), node.where);
    }
    return reached;
  }

  // ---- the interface for gradient rules ---------------------------------------------------------

  Var input(int i) const override { return {*graph_, operand(i).id}; }
  Var output(int i) const override {
    return {*graph_, graph_->nodes[node_].first_value + static_cast<uint32_t>(i)};
  }
  int inputs() const override { return static_cast<int>(operands_.size()); }
  bool needs(int i) const override { return operand(i).needed; }
  bool has_output_grad(int i) const override {
    check_index(i, static_cast<int>(output_grads_.size()));
    return output_grads_[static_cast<size_t>(i)] != none;
  }
  Var output_grad(int i) const override {
    check_index(i, static_cast<int>(output_grads_.size()));
    const ValueId known = output_grads_[static_cast<size_t>(i)];
    if (known != none) return {*graph_, known};
    const Var value = output(i);
    return filled(*graph_, 0, value.shape(), value.dtype(), graph_->nodes[node_].where);
  }
  Var& input_grad(int i) override {
    check_index(i, inputs());
    return input_grads_[static_cast<size_t>(i)];
  }
  std::span<const int64_t> words() const override { return words_; }

 private:
  void check_index(int i, int count) const {
    if (i >= 0 && i < count) return;
    throw Error(fmt::format("its gradient rule asks for number {} of {}", i, count));
  }

  struct Operand {
    ValueId id;
    bool needed;  // true if its gradient is wanted
  };
  const Operand& operand(int i) const {
    check_index(i, inputs());
    return operands_[static_cast<size_t>(i)];
  }

  ValueId first_value_of(NodeId node) const {
    return node < graph_->nodes.next() ? graph_->nodes[node].first_value : graph_->values.next();
  }

  bool depends_on_wrt(ValueId value) const {
    const NodeId node = graph_->values[value].node;
    if (node < first_node_ || node > last_node_ || !is_float(graph_->values[value].dtype)) {
      return false;
    }
    return depends_[node - first_node_] != 0;
  }

  /// Marks the nodes between the inputs and the outputs that depend on an input.
  void mark(std::span<const Var> outputs, std::span<const Var> wrt) {
    first_node_ = NodeId::none;
    last_node_ = {};
    for (const Var& var : wrt) {
      first_node_ = std::min(first_node_, graph_->values[var.id()].node);
    }
    for (const Var& var : outputs) {
      last_node_ = std::max(last_node_, graph_->values[var.id()].node);
    }
    if (first_node_ > last_node_) first_node_ = last_node_ + 1;
    depends_.assign((last_node_ + 1) - first_node_, 0);
    for (const Var& var : wrt) {
      const NodeId node = graph_->values[var.id()].node;
      if (node <= last_node_) depends_[node - first_node_] = 1;
    }
    for (NodeId n = first_node_; n <= last_node_; ++n) {
      if (depends_[n - first_node_]) continue;
      for (const ValueId input : graph_->inputs_of(graph_->nodes[n])) {
        if (depends_on_wrt(input)) {
          depends_[n - first_node_] = 1;
          break;
        }
      }
    }
  }

  std::string written_at(const Var& var) const {
    return graph_->written_at(graph_->nodes[graph_->values[var.id()].node]);
  }

  void add_seed(const Var& output, const Var& seed) {
    if (seed.shape() != output.shape() || seed.dtype() != output.dtype()) {
      throw Error({.kind = seed.dtype() == output.dtype() ? ErrorKind::shape : ErrorKind::type,
                   .op = "vjp",
                   .detail = fmt::format("the output is {} {}, its seed {} {}",
                                         name(output.dtype()), to_string(output.shape()),
                                         name(seed.dtype()), to_string(seed.shape())),
                   .place = written_at(output)});
    }
    if (&seed.graph() != graph_) {
      throw Error({.op = "vjp",
                   .detail = "the output and its seed are on different tapes",
                   .place = written_at(output)});
    }
    if (depends_on_wrt(output.id())) arrive(output.id(), seed.id());
  }

  void visit(NodeId n) {
    node_ = n;
    const Node node = graph_->nodes[n];
    output_grads_.clear();
    const Scope scope = graph_->scope_of(node);
    bool any = false;
    for (const ValueId value : node.values()) {
      output_grads_.push_back(total_of(value));
      any = any || output_grads_.back() != none;
    }
    if (!any) return;
    bool needed = false;
    operands_.clear();
    for (const ValueId id : graph_->inputs_of(node)) {
      operands_.push_back({id, depends_on_wrt(id)});
      needed = needed || operands_.back().needed;
    }
    if (!needed) return;
    // Copied, because rules record nodes, which moves the graph's own list of words.
    words_.clear();
    for (const int64_t word : graph_->words_of(node)) words_.push_back(word);
    input_grads_.assign(node.inputs, Var());
    if (node.op->gradient != nullptr) {
      call_rule(node);
    } else if (node.op->reference != nullptr) {
      differentiate_reference(node);
    } else {
      throw Error({.op = "grad",
                   .detail = fmt::format("{} has no gradient rule", node.op->name),
                   .place = graph_->written_at(node)});
    }
    for (size_t i = 0; i < operands_.size(); ++i) {
      const Var& gradient = input_grads_[i];
      const auto [id, wanted] = operands_[i];
      if (!gradient.is_empty() && wanted) arrive(id, fit(node, gradient, static_cast<int>(i)));
    }
  }

  /// Calls the gradient rule. Adds the node's name and place to its error unless the error has a
  /// place.
  void call_rule(const Node& node) {
    try {
      node.op->gradient(*this);
    } catch (...) {
      graph_->rethrow_at(node);
    }
  }

  /// Converts the rule's gradient to the shape of the input by summing over broadcast axes.
  ValueId fit(const Node& node, const Var& gradient, int i) const {
    if (!graph_->holds(gradient)) {
      throw Error(
          {.op = std::string(node.op->name),
           .detail = fmt::format("its gradient rule gives a value of another tape for input {}", i),
           .place = graph_->written_at(node)});
    }
    const Value& value = graph_->values[operand(i).id];
    const Value& has = graph_->values[gradient.id()];
    if (has.dtype == value.dtype && has.shape == value.shape) return gradient.id();  // usual case
    // Copies, because recording moves the lists.
    const Shape target = value.shape, given = has.shape;
    Shape both;
    if (has.dtype == value.dtype && broadcast(given, target, both)) {
      const Var summed = both == given ? gradient : broadcast_to(gradient, both);
      return sum_to(summed, target).id();
    }
    throw Error({.kind = has.dtype == value.dtype ? ErrorKind::shape : ErrorKind::type,
                 .op = std::string(node.op->name),
                 .detail = fmt::format("its gradient rule gives {} {} for input {}, which is {} {}",
                                       name(gradient.dtype()), to_string(given), i,
                                       name(value.dtype), to_string(target)),
                 .place = graph_->written_at(node)});
  }

  /// Differentiates the operator's reference in plain operators. The aliases make one Var that is
  /// given twice count as two operands.
  void differentiate_reference(const Node& node) {
    std::vector<Var> own, wrt;
    std::vector<int> position;
    for (int i = 0; i < node.inputs; ++i) {
      own.push_back(input(i));
      if (!needs(i)) continue;
      own.back() = alias(own.back());
      wrt.push_back(own.back());
      position.push_back(i);
    }
    std::vector<Var> outputs(node.outputs);
    ReferenceContext reference(own, outputs, words_);
    node.op->reference(reference);
    std::vector<Var> seeds(outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (output_grads_[i] != none) seeds[i] = {*graph_, output_grads_[i]};
      if (!outputs[i].is_empty()) continue;
      if (!seeds[i].is_empty()) {
        throw Error(
            {.op = "grad",
             .detail = fmt::format("the reference of {} leaves out output {}", node.op->name, i),
             .place = graph_->written_at(node)});
      }
      outputs[i] = wrt.front();  // placeholder: without a seed it adds nothing
    }
    const std::vector<Var> grads = vjp(outputs, seeds, wrt);
    for (size_t i = 0; i < grads.size(); ++i) {
      input_grads_[static_cast<size_t>(position[i])] = grads[i];
    }
  }

  void arrive(ValueId value, ValueId gradient) {
    parts_.push_back({gradient, heads_[value]});
    heads_[value] = static_cast<uint32_t>(parts_.size()) - 1;
  }

  /// Returns the sum of the gradients that have reached a value; `none` if there are none.
  ValueId total_of(ValueId value) {
    const uint32_t head = heads_[value];
    if (head == 0 || parts_[head].next == 0) return parts_[head].gradient;
    Recycled<Var> parts;
    for (uint32_t p = head; p != 0; p = parts_[p].next) {
      parts.push_back({*graph_, parts_[p].gradient});
    }
    std::reverse(parts.begin(), parts.end());  // in order of arrival
    merge_by_rules(parts);
    Var sum = parts.front();
    for (size_t i = 1; i < parts.size(); ++i) sum = sum + parts[i];
    parts_[head] = {sum.id(), 0};
    return sum.id();
  }

  /// Returns the rule that sums a gradient with others of its operator, or null.
  const SumRule* rule_of(const Var& part) const {
    const Op* op = graph_->nodes[graph_->values[part.id()].node].op;
    const SumRule* rule = op == nullptr ? nullptr : op->sum_rule;
    return rule != nullptr && rule->applies(part) ? rule : nullptr;
  }

  /// Replaces the gradients that one rule sums by their sum, for every rule among the parts.
  void merge_by_rules(Recycled<Var>& parts) {
    Recycled<const SumRule*> rules;
    for (const Var& part : parts) {
      const SumRule* rule = rule_of(part);
      if (rule != nullptr && std::find(rules.begin(), rules.end(), rule) == rules.end()) {
        rules.push_back(rule);
      }
    }
    for (const SumRule* rule : rules) merge(parts, *rule);
  }

  void merge(Recycled<Var>& parts, const SumRule& rule) {
    const auto takes_part = [&](const Var& part) { return rule_of(part) == &rule; };
    if (std::count_if(parts.begin(), parts.end(), takes_part) < 2) return;
    Recycled<Var> taken;
    for (const Var& part : parts) {
      if (takes_part(part)) taken.push_back(part);
    }
    std::erase_if(parts, takes_part);
    // A node has at most 65,535 inputs.
    constexpr size_t most = 32768;
    const std::span<const Var> all = taken;
    for (size_t i = 0; i < all.size(); i += most) {
      parts.push_back(rule.sum(all.subspan(i, std::min(most, all.size() - i))));
    }
  }

  Graph* graph_ = nullptr;
  NodeId first_node_{}, last_node_{}, node_{};
  std::vector<uint8_t> depends_;  // by node, from first_node_
  // Gradients that have arrived, as one linked list per value. They are stored as value ids, not as
  // Vars. A Var is written in parts and copied whole, which would stall on store forwarding.
  static constexpr ValueId none = ValueId::none;
  struct Part {
    ValueId gradient = none;
    uint32_t next = 0;
  };
  std::vector<Part> parts_;
  IdVector<ValueId, uint32_t> heads_;  // the latest part of the value; 0: none
  std::vector<Operand> operands_;      // of the node being visited
  std::vector<ValueId> output_grads_;
  std::vector<Var> input_grads_;
  std::vector<int64_t> words_;
  std::unique_ptr<Backward> next_;  // next idle object in the pool
};

thread_local std::unique_ptr<Backward> Backward::Lease::idle_walks;

/// Returns the error message for memory that is exhausted while gradients are recorded.
ErrorParts memory_for_gradients(const Node& node, const Graph& graph) {
  return {.op = std::string(node.op == nullptr ? "" : node.op->name),
          .detail = fmt::format("out of memory while its gradient is recorded, as one of {} nodes",
                                graph.nodes.size()),
          .place = graph.written_at(node)};
}

}  // namespace

size_t vjp(std::span<const Var> outputs, std::span<const Var> seeds, std::span<const Var> wrt,
           std::span<Var> grads) {
  if (outputs.size() != seeds.size()) {
    throw Error({.op = "vjp",
                 .detail = fmt::format("{} outputs and {} seeds", outputs.size(), seeds.size())});
  }
  if (outputs.empty() || wrt.empty()) {
    std::fill(grads.begin(), grads.end(), Var());
    return 0;
  }
  Graph& graph = outputs.front().graph();
  for (const Var& var : wrt) {
    if (&var.graph() != &graph) {
      throw Error({.op = "grad", .detail = "the values are on different tapes"});
    }
    if (!is_float(var.dtype())) {
      throw Error({.kind = ErrorKind::type,
                   .op = "grad",
                   .detail = fmt::format("there is no gradient with respect to {} values",
                                         name(var.dtype())),
                   .place = graph.written_at(graph.nodes[graph.values[var.id()].node])});
    }
  }
  return or_out_of_memory(
      [&] {
        const Backward::Lease walk;
        return walk->run(graph, outputs, seeds, wrt, grads);
      },
      [&] {
        const ValueId value = outputs.front().id();
        return memory_for_gradients(graph.nodes[graph.values[value].node], graph);
      });
}

std::vector<Var> vjp(std::span<const Var> outputs, std::span<const Var> seeds,
                     std::span<const Var> wrt) {
  std::vector<Var> grads(wrt.size());
  vjp(outputs, seeds, wrt, grads);
  return grads;
}

size_t grad(const Var& loss, std::span<const Var> wrt, std::span<Var> grads) {
  Graph& graph = loss.graph();
  const Node node = graph.nodes[graph.values[loss.id()].node];
  if (loss.shape().size() != 1 || !is_float(loss.dtype())) {
    throw Error({.kind = is_float(loss.dtype()) ? ErrorKind::shape : ErrorKind::type,
                 .op = "grad",
                 .detail = fmt::format("the loss has to be one float value, it is {} {}",
                                       name(loss.dtype()), to_string(loss.shape())),
                 .place = graph.written_at(node)});
  }
  return or_out_of_memory(
      [&] {
        const Scope scope = graph.scope_of(node);
        const Var seed = filled(graph, 1, loss.shape(), loss.dtype(), node.where);
        return vjp(std::span(&loss, 1), std::span(&seed, 1), wrt, grads);
      },
      [&] { return memory_for_gradients(node, graph); });
}

std::vector<Var> grad(const Var& loss, std::span<const Var> wrt) {
  std::vector<Var> grads(wrt.size());
  grad(loss, wrt, grads);
  return grads;
}

std::vector<Var> grad(const Var& loss, std::span<const Parameter> wrt) {
  Graph& graph = loss.graph();
  const SourceLocation where = graph.nodes[graph.values[loss.id()].node].where;
  std::vector<Var> vars;
  vars.reserve(wrt.size());
  for (const Parameter& parameter : wrt) {
    vars.push_back(graph.parameter(parameter.state(), where));
  }
  return grad(loss, vars);
}

}  // namespace v0
}  // namespace rapt
