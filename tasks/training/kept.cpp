#include "tasks/training/kept.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "framework/core/error.hpp"
#include "framework/files/average.hpp"
#include "tasks/draw/messages.hpp"

namespace rapt::tasks {

std::vector<std::string> kept_checkpoints(const std::string& folder, std::int64_t count) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("epoch-") && name.ends_with(".safetensors")) names.push_back(name);
  }
  if (names.empty()) {
    throw Error(fmt::format("{}: holds no checkpoints; train with --keep", folder));
  }
  std::sort(names.begin(), names.end());
  if (std::ssize(names) > count) names.erase(names.begin(), names.end() - count);
  return names;
}

int average(const AverageOptions& o,
            const std::function<void(const std::string& first, const NamedTensors& mean)>& save) {
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
