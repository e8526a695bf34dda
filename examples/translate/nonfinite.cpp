#include "nonfinite.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <rapt/framework/checkpoint.hpp>
#include <rapt/framework/error.hpp>
#include <rapt/framework/executor.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/grad.hpp>
#include <rapt/optim/clip.hpp>

#include "options.hpp"

namespace rapt::examples {
namespace {

constexpr std::string_view kind = "rapt batch that was not finite 1";

template <class T>
T number(const std::map<std::string, std::string>& entries, const std::string& name) {
  const auto found = entries.find(name);
  T value{};
  if (found != entries.end()) {
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  throw Error(fmt::format("the entry '{}' of its metadata is missing or no number", name));
}

/// The model at the time, with the dropout of training.
TranslationModel model_at(const std::string& batch_path, const std::string& folder,
                          double dropout) {
  const std::string beside = model_file_of(batch_path);
  const bool is_there =
      std::filesystem::exists(std::filesystem::path(folder) / beside) &&
      std::filesystem::equivalent(std::filesystem::path(folder),
                                  std::filesystem::absolute(batch_path).parent_path());
  TranslationModel model =
      is_there ? TranslationModel::load(folder, beside) : TranslationModel::load(folder);
  fmt::print("with the weights of {}/{}\n", folder, is_there ? beside : "model.safetensors");
  const NamedTensors weights = named(parameters_of(model.net));
  std::visit([&](auto& options) { options.dropout = dropout; }, model.options);
  model.net = make_net(model.options, Key{});
  set_parameters(parameters_of(model.net), weights);
  return model;
}

}  // namespace

std::string shown(double value) { return std::isnan(value) ? "NaN" : fmt::format("{:.6g}", value); }

std::string model_file_of(const std::string& batch_path) {
  return std::filesystem::path(batch_path).stem().string() + "-model.safetensors";
}

std::string save_nonfinite(const NonfiniteBatch& bad, TranslationModel& model,
                           const std::string& folder) {
  const std::string path = fmt::format("{}/nonfinite-{:09}.safetensors", folder, bad.step);
  model.save(folder, model_file_of(path));
  save_safetensors(path,
                   {{"source", bad.batch.source},
                    {"target_in", bad.batch.target_in},
                    {"target_out", bad.batch.target_out}},
                   {{"kind", std::string(kind)},
                    {"step", std::to_string(bad.step)},
                    {"key_seed", std::to_string(bad.key.seed)},
                    {"key_path", std::to_string(bad.key.path)},
                    {"label_smoothing", fmt::format("{}", bad.label_smoothing)},
                    {"dropout", fmt::format("{}", bad.dropout)},
                    {"loss", fmt::format("{}", bad.loss)},
                    {"gradient_norm", fmt::format("{}", bad.gradient_norm)}});
  return path;
}

NonfiniteBatch load_nonfinite(const std::string& path) {
  const Checkpoint saved = load_safetensors(path);
  try {
    const auto found = saved.metadata.find("kind");
    if (found == saved.metadata.end() || found->second != kind) {
      throw Error("is no batch that training has put aside");
    }
    return {.batch = {.source = saved["source"],
                      .target_in = saved["target_in"],
                      .target_out = saved["target_out"]},
            .step = number<std::int64_t>(saved.metadata, "step"),
            .key = {.seed = number<std::uint64_t>(saved.metadata, "key_seed"),
                    .path = number<std::uint64_t>(saved.metadata, "key_path")},
            .label_smoothing = number<double>(saved.metadata, "label_smoothing"),
            .dropout = number<double>(saved.metadata, "dropout"),
            .loss = number<double>(saved.metadata, "loss"),
            .gradient_norm = number<double>(saved.metadata, "gradient_norm")};
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", path, error.what()));
  }
}

int replay(const std::string& path, const std::string& folder, int threads) {
  const NonfiniteBatch bad = load_nonfinite(path);
  fmt::print("step {}: the loss was {}, the norm of the gradient {}\n", bad.step, shown(bad.loss),
             shown(bad.gradient_norm));
  TranslationModel model = model_at(path, folder, bad.dropout);
  Executor executor({.threads = threads, .guard = true});
  const Executor::Use use(executor);
  const Tape tape(Training{bad.key});
  const Var loss = loss_of(model.net, bad.batch, bad.label_smoothing);
  std::vector<Var> wanted;
  for (const Parameter& parameter : parameters_of(model.net)) wanted.push_back(as_var(parameter));
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

}  // namespace rapt::examples
