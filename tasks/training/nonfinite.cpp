#include "tasks/training/nonfinite.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "optim/clip.hpp"

namespace rapt::tasks {
namespace {

constexpr std::string_view kind = "rapt batch that was not finite 2";
constexpr std::string_view setting = "setting ";  // prefix of the names of settings

template <class T>
T parsed(const std::map<std::string, std::string>& entries, const std::string& name) {
  const auto found = entries.find(name);
  T value{};
  if (found != entries.end()) {
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  throw Error(fmt::format("the entry '{}' of its metadata is missing or no number", name));
}

/// Returns the name of the model file that is saved with a batch.
std::string model_file_of(const std::string& batch_path) {
  return std::filesystem::path(batch_path).stem().string() + "-model.safetensors";
}

/// Returns the model saved with the batch if it is in the same folder, else the run's model.
std::string model_to_use(const std::string& batch_path, const std::string& folder) {
  const std::string beside = model_file_of(batch_path);
  const bool is_there =
      std::filesystem::exists(std::filesystem::path(folder) / beside) &&
      std::filesystem::equivalent(std::filesystem::path(folder),
                                  std::filesystem::absolute(batch_path).parent_path());
  return is_there ? beside : "model.safetensors";
}

}  // namespace

std::string shown(double value) { return std::isnan(value) ? "NaN" : fmt::format("{:.6g}", value); }

double number_of(const std::map<std::string, std::string>& settings, const std::string& name) {
  return parsed<double>(settings, name);
}

std::string save_nonfinite(Task& task, const NonfiniteBatch& bad, const std::string& folder) {
  const std::string path = fmt::format("{}/nonfinite-{:09}.safetensors", folder, bad.step);
  task.save(folder, model_file_of(path));
  std::map<std::string, std::string> metadata{
      {"kind", std::string(kind)},
      {"step", std::to_string(bad.step)},
      {"units", std::to_string(bad.batch.units)},
      {"key_seed", std::to_string(bad.key.seed)},
      {"key_path", std::to_string(bad.key.path)},
      {"loss", fmt::format("{}", bad.loss)},
      {"gradient_norm", fmt::format("{}", bad.gradient_norm)}};
  for (const auto& [name, value] : bad.settings) metadata[std::string(setting) + name] = value;
  save_safetensors(path, bad.batch.tensors, metadata);
  return path;
}

NonfiniteBatch load_nonfinite(const std::string& path) {
  Checkpoint saved = load_safetensors(path);
  try {
    const auto found = saved.metadata.find("kind");
    if (found == saved.metadata.end() || found->second != kind) {
      throw Error("is no batch that training has put aside");
    }
    std::map<std::string, std::string> settings;
    for (const auto& [name, value] : saved.metadata) {
      if (name.starts_with(setting)) settings[name.substr(setting.size())] = value;
    }
    return {.batch = {.tensors = std::move(saved.tensors),
                      .units = parsed<std::int64_t>(saved.metadata, "units")},
            .step = parsed<std::int64_t>(saved.metadata, "step"),
            .key = {.seed = parsed<std::uint64_t>(saved.metadata, "key_seed"),
                    .path = parsed<std::uint64_t>(saved.metadata, "key_path")},
            .settings = std::move(settings),
            .loss = parsed<double>(saved.metadata, "loss"),
            .gradient_norm = parsed<double>(saved.metadata, "gradient_norm")};
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", path, error.what()));
  }
}

int replay(const ReplayOptions& options,
           const std::function<Replayed(const std::string&, const std::string&,
                                        const std::map<std::string, std::string>&)>& load) {
  const auto& [path, folder, threads] = options;
  const NonfiniteBatch bad = load_nonfinite(path);
  fmt::print("step {}: the loss was {}, the norm of the gradient {}\n", bad.step, shown(bad.loss),
             shown(bad.gradient_norm));
  const std::string file = model_to_use(path, folder);
  const Replayed model = load(folder, file, bad.settings);
  fmt::print("with the weights of {}/{}\n", folder, file);
  Executor executor({.threads = threads, .guard = true});
  const Executor::Use use(executor);
  const Tape tape(Training{bad.key});
  const Var loss = model.loss(bad.batch);
  std::vector<Var> wanted;
  for (const Parameter& parameter : model.parameters) wanted.push_back(as_var(parameter));
  const Var norm = global_norm(grad(loss, wanted));
  try {
    executor.run({loss});
    fmt::print("the loss is {}\n", loss.item());
    executor.run({norm});
    fmt::print("the norm of the gradient is {}: with these weights, all is finite\n", norm.item());
  } catch (const Error& error) {
    fmt::print("the first result that is not finite:\n  {}\n", error.what());
  }
  return 0;
}

}  // namespace rapt::tasks
