#include "tasks/training/run_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "framework/core/error.hpp"

namespace rapt::tasks {
namespace {

using Json = nlohmann::ordered_json;

const std::string& entry(const std::map<std::string, std::string>& metadata, const char* name) {
  const auto found = metadata.find(name);
  if (found == metadata.end()) {
    throw Error(fmt::format("is no checkpoint of a training run: it has no entry '{}'", name));
  }
  return found->second;
}

Json parsed(const std::map<std::string, std::string>& metadata, const char* name) {
  Json json = Json::parse(entry(metadata, name), nullptr, false);
  if (!json.is_object()) throw Error(fmt::format("its entry '{}' is damaged", name));
  return json;
}

/// Visits the members of the state: one list for writing and reading.
void visit(auto& state, auto&& f) {
  f("epoch", state.epoch);
  f("batch", state.batch);
  f("step", state.step);
  f("taken", state.taken);
  f("loss_sum", state.loss_sum);
  f("best", state.best);
  f("best_epoch", state.best_epoch);
  f("skipped", state.skipped);
  f("seconds", state.seconds);
  f("finished", state.finished);
  f("mean_steps", state.means.steps);
  f("mean_tokens", state.means.tokens);
  f("mean_loss", state.means.loss);
  f("mean_gradient_norm", state.means.gradient_norm);
  f("mean_seconds", state.means.seconds);
  // Checkpoints of earlier versions lack these.
  constexpr bool may_lack = true;
  f("best_step", state.best_step, may_lack);
  f("waited", state.waited, may_lack);
  f("warmup", state.warmup, may_lack);
}

std::string options_text(const RunOptions& options) {
  Json chosen = Json::object();
  for (const auto& [name, value] : options) chosen[name] = value;
  // Replaces invalid bytes, because a path need not be UTF-8.
  return chosen.dump(-1, ' ', false, Json::error_handler_t::replace);
}

RunOptions options_of(const std::map<std::string, std::string>& metadata) {
  RunOptions options;
  const Json saved = parsed(metadata, "options");
  for (const auto& [name, value] : saved.items()) {
    if (!value.is_string()) throw Error("its entry 'options' is damaged");
    options.emplace_back(name, value.get<std::string>());
  }
  return options;
}

}  // namespace

std::map<std::string, std::string> metadata_of(const RunState& state, const RunOptions& options,
                                               const RunLog& log) {
  Json run = Json::object();
  visit(state, [&](const char* name, const auto& value, bool = false) { run[name] = value; });
  return {{"run", run.dump()}, {"options", options_text(options)}, {"log", log.text()}};
}

RunState state_of(const std::map<std::string, std::string>& metadata) {
  const Json run = parsed(metadata, "run");
  RunState state;
  visit(state, [&](const char* name, auto& value, bool may_lack = false) {
    const auto found = run.find(name);
    if (found == run.end() && may_lack) return;
    using Value = std::remove_reference_t<decltype(value)>;
    const bool fits =
        found != run.end() && (std::is_same_v<Value, bool>     ? found->is_boolean()
                               : std::is_same_v<Value, double> ? found->is_number()
                                                               : found->is_number_integer());
    if (!fits) throw Error(fmt::format("its entry 'run' lacks '{}'", name));
    value = found->template get<Value>();
  });
  return state;
}

std::string log_of(const std::map<std::string, std::string>& metadata) {
  return entry(metadata, "log");
}

std::string differences(const RunOptions& saved, const RunOptions& now,
                        const std::vector<std::string>& free) {
  const auto value_in = [](const RunOptions& options, const std::string& name) {
    for (const auto& [known, value] : options) {
      if (known == name) return value.empty() ? std::string("empty") : value;
    }
    return std::string("not given");
  };
  std::string lines;
  const auto compare = [&](const std::string& name) {
    if (std::find(free.begin(), free.end(), name) != free.end()) return;
    const std::string was = value_in(saved, name), is = value_in(now, name);
    if (was != is) lines += fmt::format("\n  {} was {}, now is {}", name, was, is);
  };
  for (const auto& [name, value] : now) compare(name);
  for (const auto& [name, value] : saved) {
    if (value_in(now, name) == "not given") compare(name);
  }
  return lines;
}

std::optional<CheckpointFolder::Latest> checkpoint_to_resume(const CheckpointFolder& folder,
                                                             const std::string& name,
                                                             const RunOptions& options,
                                                             Resume resume,
                                                             const std::vector<std::string>& free) {
  if (resume == Resume::restart) return std::nullopt;
  auto latest = folder.latest();
  if (!latest) {
    if (resume == Resume::automatic) return std::nullopt;
    throw Error(fmt::format("{} holds no run to resume", name));
  }
  try {
    const std::string lines = differences(options_of(latest->checkpoint.metadata),
                                          options_of({{"options", options_text(options)}}), free);
    state_of(latest->checkpoint.metadata);
    if (!lines.empty()) {
      throw Error(fmt::format(
          "it is a run with other options:{}\nuse the same ones to resume it, another folder, or"
          " --restart to train anew",
          lines));
    }
  } catch (const Error& error) {
    throw Error(fmt::format("cannot resume {}, step {}: {}", name, latest->step, error.what()));
  }
  return latest;
}

}  // namespace rapt::tasks
