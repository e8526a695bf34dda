#include "optim/optimizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "framework/core/out_of_memory.hpp"
#include "framework/graph/graph.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "optim/clip.hpp"
#include "optim/update.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Copies a gradient that is itself a parameter's memory: the gradient of p in q p is q. The update
/// of that parameter may run first.
Var apart_from_parameters(Graph& graph, const Var& gradient) {
  const Node& node = graph.nodes[graph.values[graph.values[gradient.id()].base].node];
  const bool aliased = node.op == nullptr && graph.leaves[node.leaf()].parameter != nullptr;
  return aliased ? gradient * 1 : gradient;
}

bool is_finite_rate(double value) {
  return value >= 0 && value < std::numeric_limits<double>::infinity();
}

void run(const Var& loss, std::span<const Var> also, std::initializer_list<Var> more) {
  Recycled<Var> targets{loss};
  targets.insert(targets.end(), also.begin(), also.end());
  for (const Var& var : more) {
    if (!var.is_empty()) targets.push_back(var);
  }
  Executor::current().run(targets);
}

}  // namespace

std::vector<ParameterGroup> decay_matrices_only(const std::vector<Parameter>& parameters) {
  std::vector<ParameterGroup> groups{{.parameters = {}}, {.parameters = {}, .decay_factor = 0}};
  for (const Parameter& parameter : parameters) {
    groups[parameter.shape().rank() >= 2 ? 0 : 1].parameters.push_back(parameter);
  }
  return groups;
}

Optimizer::Optimizer(std::vector<ParameterGroup> groups, double lr, double clip_norm,
                     std::vector<std::string> slots)
    : groups_(std::move(groups)), slots_(std::move(slots)), lr_(lr), clip_norm_(clip_norm) {
  check_not_negative("Optimizer", "lr (the learning rate)", lr_);
  if (!(clip_norm_ >= 0)) {
    throw Error({.op = "Optimizer",
                 .detail = fmt::format("clip_norm is {}, expected 0 or more", clip_norm_)});
  }
  for (size_t g = 0; g < groups_.size(); ++g) {
    check_not_negative("Optimizer", fmt::format("lr_factor of group {}", g), groups_[g].lr_factor);
    check_not_negative("Optimizer", fmt::format("decay_factor of group {}", g),
                       groups_[g].decay_factor);
    for (const Parameter& parameter : groups_[g].parameters) {
      if (!parameter) throw Error({.op = "Optimizer", .detail = "a parameter has no value"});
      const std::string name =
          parameter.name().empty() ? std::to_string(entries_.size()) : parameter.name();
      if (!is_float(parameter.value().dtype())) {
        throw Error({.kind = ErrorKind::type,
                     .op = "Optimizer",
                     .detail = fmt::format("the parameter {} holds {}, not floats", name,
                                           rapt::name(parameter.value().dtype()))});
      }
      for (const Entry& other : entries_) {
        if (other.parameter.state() == parameter.state()) {
          throw Error(
              {.op = "Optimizer", .detail = fmt::format("the parameter {} is given twice", name)});
        }
      }
      Entry entry{.parameter = parameter, .group = g, .name = name, .slots = {}, .gathered = {}};
      for (size_t s = 0; s < slots_.size(); ++s) {
        entry.slots.push_back(zeros(parameter.shape(), parameter.value().dtype()));
      }
      entries_.push_back(std::move(entry));
    }
  }
  name_apart();
  for (const Entry& entry : entries_) entry.parameter.state()->optimized = true;
}

/// Makes names unique, because parts of a model may list parameters under the same names.
void Optimizer::name_apart() {
  std::map<std::string, int> uses;
  for (const Entry& entry : entries_) ++uses[entry.name];
  for (Entry& entry : entries_) {
    if (uses[entry.name] > 1) entry.name = fmt::format("{}/{}", entry.group, entry.name);
  }
  std::set<std::string_view> names;
  for (const Entry& entry : entries_) {
    if (names.insert(entry.name).second) continue;
    throw Error(
        {.op = "Optimizer",
         .detail = fmt::format("two parameters are named '{}': give each part of the model a"
                               " group, or list them by parameters() of a struct that holds both",
                               entry.parameter.name())});
  }
}

void Optimizer::lr(double lr, SourceLocation where) {
  if (!is_finite_rate(lr)) {
    throw Error({.op = "Optimizer::lr",
                 .detail = fmt::format("the learning rate is {}, expected 0 or more", lr),
                 .place = place_of(where)});
  }
  lr_ = lr;
}

/// Finds parameters that visit() has left out. They would never be learned, without any sign of it.
/// Parameters that have a name or another optimizer, or are not trainable, are left out on purpose.
void Optimizer::look_for_forgotten(const Var& loss, SourceLocation where) const {
  for (const Entry& entry : entries_) {
    // Not from a parameters() list, so there is no visit() to check.
    if (entry.parameter.name().empty()) return;
  }
  const Graph& graph = loss.graph();
  const NodeId last = graph.values[loss.id()].node;
  IdVector<NodeId, bool> takes_part(index(last + 1), false);
  takes_part[last] = true;
  for (NodeId n = takes_part.next(); n > NodeId{};) {
    --n;
    if (!takes_part[n]) continue;
    const Node& node = graph.nodes[n];
    for (const ValueId input : graph.inputs_of(node)) takes_part[graph.values[input].node] = true;
    if (node.op != nullptr) continue;
    const ParameterState* p = graph.leaves[node.leaf()].parameter.get();
    if (p == nullptr || !p->trainable || p->optimized || !p->name.empty()) continue;
    throw Error(
        {.op = "step",
         .detail = fmt::format(
             "a trainable parameter {} takes part in the loss that no parameters() list names and "
             "no optimizer has: does a visit() leave a member out? set_trainable(false) says that "
             "it is not to be learned. It was used at {}",
             to_string(p->value.shape()), graph.written_at(node)),
         .place = place_of(where)});
  }
}

Recycled<Optimizer::Entry*> Optimizer::trainable() {
  Recycled<Entry*> found;
  for (Entry& entry : entries_) {
    if (entry.parameter.trainable()) found.push_back(&entry);
  }
  return found;
}

Recycled<Var> Optimizer::gradients(const char* who, const Var& loss,
                                   std::span<Entry* const> entries, SourceLocation where) {
  Graph& graph = loss.graph(where);
  if (!looked_) look_for_forgotten(loss, where);
  looked_ = true;
  Recycled<Var> wrt, grads(entries.size());
  wrt.reserve(entries.size());
  for (const Entry* entry : entries)
    wrt.push_back(graph.parameter(entry->parameter.state(), where));
  const size_t reached = grad(loss, wrt, grads);
  const auto pending = [](const Entry* entry) { return entry->pending; };
  if (reached == 0 && !entries.empty() && std::none_of(entries.begin(), entries.end(), pending)) {
    throw Error({.op = who,
                 .detail = fmt::format("the loss depends on none of the optimizer's {} trainable "
                                       "parameters (or through operators that pass no gradient)",
                                       entries.size()),
                 .place = place_of(where)});
  }
  for (Var& gradient : grads) gradient = apart_from_parameters(graph, gradient);
  return grads;
}

ErrorParts Optimizer::memory_short(const char* who, SourceLocation where) const {
  return {.op = who,
          .detail = fmt::format("out of memory while updates of {} parameters are recorded",
                                entries_.size()),
          .place = place_of(where)};
}

void Optimizer::accumulate(const Var& loss, std::span<const Var> also, SourceLocation where) {
  or_out_of_memory([&] { gather(loss, also, where); },
                   [&] { return memory_short("accumulate", where); });
}

bool Optimizer::step(const Var& loss, std::span<const Var> also, SourceLocation where) {
  return or_out_of_memory([&] { return take_step(loss, also, where); },
                          [&] { return memory_short("step", where); });
}

void Optimizer::gather(const Var& loss, std::span<const Var> also, SourceLocation where) {
  Graph& graph = loss.graph(where);
  const Recycled<Entry*> entries = trainable();
  const Recycled<Var> grads = gradients("accumulate", loss, entries, where);
  Recycled<Arg> parts;
  for (size_t i = 0; i < entries.size(); ++i) {
    Entry& entry = *entries[i];
    if (!entry.gathered) {
      entry.gathered = Tensor(entry.parameter.shape(), entry.parameter.value().dtype());
    }
    const Var gathered = graph.shared(entry.gathered, where);
    const StaticOp op = entry.pending ? StaticOp(add_gradient_op) : StaticOp(keep_gradient_op);
    parts.emplace_back(record(op, {Arg(gathered, where), Arg(grads[i], where)}), where);
  }
  run(loss, also, {parts.empty() ? Var() : record(updates_op, parts)});
  for (Entry* entry : entries) entry->pending = true;
}

bool Optimizer::take_step(const Var& loss, std::span<const Var> also, SourceLocation where) {
  Graph& graph = loss.graph(where);
  const Recycled<Entry*> entries = trainable();
  Recycled<Var> grads = gradients("step", loss, entries, where);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!entries[i]->pending) continue;
    grads[i] = add(Arg(graph.shared(entries[i]->gathered, where), where), Arg(grads[i], where));
  }
  Var norm, factor;
  if (clip_norm_ > 0 && !grads.empty()) {
    norm = global_norm(grads, where);
    // 0 times a non-finite number is NaN. The updates do nothing if the factor is NaN.
    factor = clip_factor(norm, clip_norm_, where) + (norm + cast(loss, DType::float64)) * 0;
  }

  // Parameters of one group with the same number of updates share their numbers.
  struct Known {
    size_t group;
    int64_t steps;
    Var numbers;
  };
  Recycled<Known> known;
  const auto numbers_of = [&](const Entry& entry) {
    for (const Known& k : known) {
      if (k.group == entry.group && k.steps == entry.steps) return k.numbers;
    }
    const ParameterGroup& group = groups_[entry.group];
    const Tensor made = numbers(lr_ * group.lr_factor, group.decay_factor, entry.steps + 1);
    known.push_back({entry.group, entry.steps, graph.constant(made, where)});
    return known.back().numbers;
  };
  Recycled<Arg> parts, args;
  for (size_t i = 0; i < entries.size(); ++i) {
    args.clear();
    args.emplace_back(graph.parameter(entries[i]->parameter.state(), where), where);
    for (const Tensor& slot : entries[i]->slots) {
      args.emplace_back(graph.shared(slot, where), where);
    }
    args.emplace_back(grads[i], where);
    args.emplace_back(numbers_of(*entries[i]), where);
    if (!factor.is_empty()) args.emplace_back(factor, where);
    parts.emplace_back(record(update(), args), where);
  }
  run(loss, also, {parts.empty() ? Var() : record(updates_op, parts), norm, factor});

  last_norm_ = norm.is_empty() ? 0 : norm.item();
  const bool taken = factor.is_empty() || std::isfinite(factor.item());
  for (Entry* entry : entries) {
    entry->steps += taken ? 1 : 0;
  }
  for (Entry& entry : entries_) entry.pending = false;  // also for parameters that are frozen now
  steps_ += taken ? 1 : 0;
  return taken;
}

// ---- saving -------------------------------------------------------------------------------------

NamedTensors Optimizer::state() const {
  NamedTensors state;
  const auto add_count = [&](const std::string& name, int64_t count) {
    state.emplace_back(name, full({}, static_cast<double>(count), DType::int32));
  };
  add_count("optimizer/steps", steps_);
  for (const Entry& entry : entries_) {
    const std::string path = "optimizer/" + entry.name + "/";
    add_count(path + "steps", entry.steps);
    for (size_t s = 0; s < slots_.size(); ++s) state.emplace_back(path + slots_[s], entry.slots[s]);
  }
  return state;
}

void Optimizer::load(const NamedTensors& saved) {
  const NamedTensors own = state();
  restore(own, saved);
  size_t i = 0;
  steps_ = static_cast<int64_t>(own[i++].second.item());
  for (Entry& entry : entries_) {
    entry.steps = static_cast<int64_t>(own[i].second.item());
    entry.pending = false;
    i += 1 + slots_.size();
  }
}

// ---- the kinds ----------------------------------------------------------------------------------

Sgd::Sgd(std::vector<ParameterGroup> groups, const SgdOptions& options)
    : Optimizer(std::move(groups), options.lr, options.clip_norm,
                options.momentum != 0 ? std::vector<std::string>{"velocity"}
                                      : std::vector<std::string>{}),
      options_(options) {
  check_not_negative("Sgd", "momentum", options.momentum);
  check_not_negative("Sgd", "weight_decay", options.weight_decay);
  if (options.nesterov && options.momentum <= 0) {
    throw Error({.op = "Sgd", .detail = "Nesterov's momentum needs a momentum above 0"});
  }
}

StaticOp Sgd::update() const {
  return options_.momentum != 0 ? StaticOp(sgd_momentum_op) : StaticOp(sgd_op);
}

Tensor Sgd::numbers(double lr, double decay_factor, int64_t) const {
  return numbers_tensor(kernels::SgdNumbers{.lr = lr,
                                            .momentum = options_.momentum,
                                            .decay = options_.weight_decay * decay_factor,
                                            .nesterov = options_.nesterov ? 1.0 : 0.0});
}

Adam::Adam(std::vector<ParameterGroup> groups, const AdamOptions& options, bool decoupled)
    : Optimizer(std::move(groups), options.lr, options.clip_norm, {"mean", "variance"}),
      options_(options),
      decoupled_(decoupled) {
  const char* const op = decoupled ? "AdamW" : "Adam";
  check_below_one(op, "beta1", options.beta1);
  check_below_one(op, "beta2", options.beta2);
  check_not_negative(op, "eps", options.eps);
  check_not_negative(op, "weight_decay", options.weight_decay);
}

StaticOp Adam::update() const { return adam_op; }

Tensor Adam::numbers(double lr, double decay_factor, int64_t t) const {
  const double decay = options_.weight_decay * decay_factor;
  const auto steps = static_cast<double>(t);
  return numbers_tensor(
      kernels::AdamNumbers{.beta1 = options_.beta1,
                           .beta2 = options_.beta2,
                           .eps = options_.eps,
                           .step = lr / (1 - std::pow(options_.beta1, steps)),
                           .root = 1 / std::sqrt(1 - std::pow(options_.beta2, steps)),
                           .shrink = decoupled_ ? 1 - lr * decay : 1,
                           .decay = decoupled_ ? 0 : decay});
}

}  // namespace v0
}  // namespace rapt
