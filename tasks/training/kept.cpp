#include "tasks/training/kept.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "framework/core/error.hpp"
#include "framework/files/average.hpp"
#include "framework/files/checkpoint_folder.hpp"
#include "tasks/data/files.hpp"
#include "tasks/draw/messages.hpp"
#include "tasks/training/run_folder.hpp"

namespace rapt::tasks {

namespace {

namespace fs = std::filesystem;

/// Returns the number in a name such as "epoch-0012.safetensors".
std::int64_t number_in(const std::string& name) {
  const std::size_t begin = name.find('-') + 1;
  std::int64_t number = 0;
  std::from_chars(name.data() + begin, name.data() + name.size(), number);
  return number;
}

/// Throws Error if a model must not be written to that folder.
void expect_free(const AverageOptions& o) {
  std::error_code none;
  if (fs::equivalent(o.model, o.output, none)) {
    throw Error(
        fmt::format("the mean would replace the best model of the run in {}: use another"
                    " folder for --output",
                    o.output));
  }
  if (!CheckpointFolder(o.output + "/checkpoints").steps().empty()) {
    throw Error(fmt::format("{} holds another run: use another folder for --output", o.output));
  }
  if (!o.overwrite) expect_no_model(o.output);
  fs::create_directories(o.output);
  expect_writable(o.output + "/model.safetensors");
}

}  // namespace

std::vector<std::string> kept_checkpoints(const std::string& folder, std::int64_t count) {
  std::vector<std::string> names = kept_models(folder);
  if (names.empty()) {
    // Runs of earlier versions have no list.
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("epoch-") && name.ends_with(".safetensors")) names.push_back(name);
    }
    std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
      return number_in(a) < number_in(b);
    });
  }
  if (names.empty()) {
    throw Error(fmt::format("{}: holds no checkpoints; train with --keep", folder));
  }
  if (std::ssize(names) > count) names.erase(names.begin(), names.end() - count);
  return names;
}

int average(const AverageOptions& o,
            const std::function<void(const std::string& first, const NamedTensors& mean)>& save) {
  expect_free(o);
  const std::vector<std::string> files =
      o.checkpoints.empty() ? kept_checkpoints(o.model, o.last) : o.checkpoints;
  std::vector<std::string> paths;
  for (const std::string& file : files) paths.push_back(o.model + "/" + file);
  save(files.front(), average_checkpoints(paths).tensors);
  print_message(fmt::format("{}: the mean of {} checkpoints, {} to {}", o.output, files.size(),
                            files.front(), files.back()));
  return 0;
}

}  // namespace rapt::tasks
