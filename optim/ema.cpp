#include "optim/ema.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "framework/core/out_of_memory.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "optim/update.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

ExponentialMovingAverage::ExponentialMovingAverage(std::vector<Parameter> parameters, double decay)
    : parameters_(std::move(parameters)), decay_(decay) {
  check_share("ExponentialMovingAverage", "decay", decay);
  for (const Parameter& parameter : parameters_) {
    if (!parameter) {
      throw Error({.op = "ExponentialMovingAverage", .detail = "a parameter has no value"});
    }
    if (!is_float(parameter.value().dtype())) {
      throw Error({.kind = ErrorKind::type,
                   .op = "ExponentialMovingAverage",
                   .detail = fmt::format("the parameter {} holds {}, not floats", parameter.name(),
                                         rapt::name(parameter.value().dtype()))});
    }
    const std::string name =
        parameter.name().empty() ? std::to_string(names_.size()) : parameter.name();
    if (std::find(names_.begin(), names_.end(), name) != names_.end()) {
      throw Error({.op = "ExponentialMovingAverage",
                   .detail = fmt::format("two parameters are named '{}'", name)});
    }
    names_.push_back(name);
    averages_.push_back(parameter.value().clone());
  }
}

void ExponentialMovingAverage::update() {
  if (parameters_.empty()) return;
  Tape tape;
  Graph& graph = tape.graph();
  const SourceLocation where = SourceLocation::current();
  const Var decay = graph.constant(decay_, DType::float64, where);
  const auto record_and_run = [&] {
    Recycled<Arg> parts;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      parts.emplace_back(
          record(moving_average_op, {Arg(averages_[i]), Arg(parameters_[i]), Arg(decay)}));
    }
    Executor::current().run({record(updates_op, parts)});
  };
  or_out_of_memory(record_and_run, [&] {
    return ErrorParts{
        .op = "ExponentialMovingAverage::update",
        .detail = fmt::format("out of memory for the update of {} arrays", parameters_.size()),
        .place = place_of(where)};
  });
}

void ExponentialMovingAverage::swap() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    ParameterState& state = *parameters_[i].state();
    auto* value = static_cast<std::byte*>(state.value.bytes());
    std::swap_ranges(value, value + state.value.size() * size_of(state.value.dtype()),
                     static_cast<std::byte*>(averages_[i].bytes()));
    ++state.version;
  }
}

void ExponentialMovingAverage::copy_to_parameters() {
  for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].set(averages_[i]);
}

NamedTensors ExponentialMovingAverage::state() const {
  NamedTensors state;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state.emplace_back("average/" + names_[i], averages_[i]);
  }
  return state;
}

void ExponentialMovingAverage::load(const NamedTensors& saved) { restore(state(), saved); }

}  // namespace v0
}  // namespace rapt
