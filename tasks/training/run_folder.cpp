#include "tasks/training/run_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "framework/core/error.hpp"
#include "tasks/data/files.hpp"

namespace rapt::tasks {
namespace {

namespace fs = std::filesystem;

bool is_tensors(const std::string& name, const char* prefix) {
  return name.starts_with(prefix) && name.ends_with(".safetensors");
}

bool is_kept(const std::string& name) {
  return is_tensors(name, "epoch-") || is_tensors(name, "step-");
}

bool is_model(const std::string& name) { return name == "model.safetensors" || is_kept(name); }

bool is_of_run(const std::string& name) {
  return is_model(name) || is_tensors(name, "nonfinite-") || name == "kept.json" ||
         name == "log.jsonl" || name == "training.json" || name == "options.toml";
}

/// Returns the names of the folder's files for which `wanted` is true. A folder that does not exist
/// has none.
std::vector<std::string> names_in(const std::string& folder,
                                  const std::function<bool(const std::string&)>& wanted) {
  std::vector<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (!entry.is_directory() && wanted(name)) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

void expect_no_model(const std::string& folder) {
  const std::vector<std::string> models = names_in(folder, is_model);
  if (models.empty()) return;
  throw Error(
      fmt::format("{} holds a model, {}, but no run to go on with: use another folder, or"
                  " --overwrite to replace it",
                  folder, models.front()));
}

void clear_run(const std::string& folder) {
  for (const std::string& name : names_in(folder, is_of_run)) fs::remove(folder + "/" + name);
}

void sweep_unfinished(const std::string& folder) {
  const auto is_unfinished = [](const std::string& name) { return name.ends_with(".part"); };
  for (const std::string& name : names_in(folder, is_unfinished)) fs::remove(folder + "/" + name);
}

std::vector<std::string> kept_models(const std::string& folder) {
  const std::string path = folder + "/kept.json";
  std::ifstream in(path, std::ios::binary);
  if (!in) return {};
  try {
    return nlohmann::json::parse(in).get<std::vector<std::string>>();
  } catch (const nlohmann::json::exception&) {
    throw FileError(fmt::format("{}: is damaged", path));
  }
}

void set_kept_models(const std::string& folder, const std::vector<std::string>& names) {
  write_file_atomically(folder + "/kept.json", nlohmann::json(names).dump() + "\n");
  // By their absence in the list: a process that is killed here leaves some for the next one.
  for (const std::string& name : names_in(folder, is_kept)) {
    if (std::find(names.begin(), names.end(), name) == names.end()) fs::remove(folder + "/" + name);
  }
}

}  // namespace rapt::tasks
