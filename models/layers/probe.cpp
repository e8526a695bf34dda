#include "models/layers/probe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/scope.hpp"
#include "framework/run/executor.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

thread_local AttentionProbe* AttentionProbe::current_ = nullptr;

AttentionProbe::AttentionProbe() : outer_(current_) { current_ = this; }

AttentionProbe::~AttentionProbe() { current_ = outer_; }

void AttentionProbe::add(const Var& weights) {
  const Scope* scope = Scope::current();
  const Graph& graph = weights.graph();
  looks_.push_back({scope == nullptr ? "" : scope->path(), weights, &graph, graph.generation});
}

std::vector<std::string> AttentionProbe::layers() const {
  std::vector<std::string> names;
  for (const Look& look : looks_) {
    if (std::find(names.begin(), names.end(), look.layer) == names.end()) {
      names.push_back(look.layer);
    }
  }
  return names;
}

size_t AttentionProbe::calls(const std::string& layer) const {
  return static_cast<size_t>(std::count_if(looks_.begin(), looks_.end(),
                                           [&](const Look& look) { return look.layer == layer; }));
}

const AttentionProbe::Look& AttentionProbe::find(const std::string& layer, size_t call) const {
  size_t seen = 0;
  for (const Look& look : looks_) {
    if (look.layer == layer && seen++ == call) return look;
  }
  throw Error({.op = "AttentionProbe",
               .detail = fmt::format("call {} of '{}' was asked for, it has seen {}; layers "
                                     "seen: {}",
                                     call, layer, seen, fmt::join(layers(), ", "))});
}

/// Computes all recorded weights of one tape in one run, so that shared work is done once.
void AttentionProbe::compute(const Look& asked) const {
  const Graph& graph = asked.weights.graph();
  std::vector<Var> wanted;
  for (const Look& look : looks_) {
    if (look.graph == &graph && look.generation == graph.generation) wanted.push_back(look.weights);
  }
  Executor::current().run(wanted);
}

Tensor AttentionProbe::weights(const std::string& layer, size_t call) {
  const Look& look = find(layer, call);
  compute(look);
  return look.weights.value();
}

const Var& AttentionProbe::recorded(const std::string& layer, size_t call) const {
  return find(layer, call).weights;
}

Tensor AttentionProbe::mean_weights(const std::string& layer, size_t call) {
  const Look& look = find(layer, call);
  compute(look);
  if (look.weights.rank() < 4) return look.weights.value();
  return mean(look.weights, 1).value();
}

Tensor AttentionProbe::entropy(const std::string& layer, size_t call) {
  const Look& look = find(layer, call);
  compute(look);
  const Var& w = look.weights;
  // The limit of w log w at 0 is 0.
  return sum(where(w > 0, -(w * log(maximum(w, 1e-30))), 0), -1).value();
}

}  // namespace v0
}  // namespace rapt
