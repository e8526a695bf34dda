#include "framework/files/checkpoint_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "framework/core/error.hpp"
#include "framework/files/files.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "step-", suffix = ".safetensors", unfinished = ".part";

/// Returns the step in a checkpoint's file name, or nothing for other names.
std::optional<int64_t> step_of(std::string_view name) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  name.remove_suffix(suffix.size());
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size() || step < 0) return std::nullopt;
  return step;
}

[[noreturn]] void fail(const std::string& path, const char* what, int error) {
  throw FileError(fmt::format("{}: cannot {}: {}", path, what, error_text(error)));
}

void remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail(path, "remove", errno);
}

}  // namespace

CheckpointFolder::CheckpointFolder(std::string path, int64_t keep)
    : path_(std::move(path)), keep_(keep) {
  if (keep_ < 1) {
    throw Error(
        {.op = "CheckpointFolder", .detail = fmt::format("{} are to be kept, less than 1", keep_)});
  }
}

CheckpointFolder::~CheckpointFolder() {
  if (lock_ >= 0) ::close(lock_);
}

std::vector<int64_t> CheckpointFolder::steps() const {
  std::vector<int64_t> found;
  std::error_code error;
  for (fs::directory_iterator it(path_, error), end; !error && it != end; it.increment(error)) {
    if (const auto step = step_of(it->path().filename().string())) found.push_back(*step);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    fail(path_, "list", error.value());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string CheckpointFolder::file(int64_t step) const {
  return fmt::format("{}/{}{:09}{}", path_, prefix, step, suffix);
}

void CheckpointFolder::claim() {
  if (lock_ >= 0) return;
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) fail(path_, "make", error.value());
  sync_folder_of(path_);
  const std::string name = path_ + "/lock";
  const int id = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (id < 0) fail(name, "open", errno);
  if (::flock(id, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    ::close(id);
    if (reason == EWOULDBLOCK) {
      throw FileError(path_ + ": another process saves its checkpoints here");
    }
    fail(name, "lock", reason);
  }
  lock_ = id;
  std::vector<std::string> left;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_)) {
    const std::string path = entry.path().string();
    if (path.ends_with(unfinished)) left.push_back(path);
  }
  for (const std::string& path : left) remove(path);
}

void CheckpointFolder::save(int64_t step, const NamedTensors& tensors,
                            const std::map<std::string, std::string>& metadata, bool best) {
  if (step < 0) {
    throw Error(
        {.op = "CheckpointFolder::save", .detail = fmt::format("step {} is below 0", step)});
  }
  claim();
  const std::string path = file(step);
  save_safetensors(path, tensors, metadata);
  if (best) {
    // link() cannot replace an existing file. So this makes a new link and renames it.
    const std::string link = best_file() + std::string(unfinished);
    remove(link);
    if (::link(path.c_str(), link.c_str()) == 0) {
      if (::rename(link.c_str(), best_file().c_str()) != 0) fail(link, "rename", errno);
      // If both names already were the same file, rename() does nothing and the link remains.
      remove(link);
      sync_folder_of(path);
    } else {
      save_safetensors(best_file(), tensors, metadata);  // for file systems without links
    }
  }
  // Later steps belong to a run that was restarted from an older checkpoint.
  const std::vector<int64_t> all = steps();
  const auto now = std::find(all.begin(), all.end(), step);
  for (auto later = now == all.end() ? now : now + 1; later != all.end(); ++later) {
    remove(file(*later));
  }
  for (auto older = all.begin(); now - older >= keep_; ++older) remove(file(*older));
}

std::optional<CheckpointFolder::Latest> CheckpointFolder::latest() const {
  const std::vector<int64_t> all = steps();
  if (all.empty()) return std::nullopt;
  Latest found;
  std::string reasons;
  for (auto step = all.rbegin(); step != all.rend(); ++step) {
    try {
      found.checkpoint = load_safetensors(file(*step));
      found.step = *step;
      return found;
    } catch (const Error& error) {
      found.damaged.emplace_back(error.what());
      reasons += fmt::format("\n  {}", error.what());
    }
  }
  throw FileError(fmt::format("{}: none of its checkpoints can be read:{}", path_, reasons));
}

void CheckpointFolder::clear() {
  claim();
  for (const int64_t step : steps()) remove(file(step));
  remove(best_file());
  sync_folder_of(best_file());
}

}  // namespace v0
}  // namespace rapt
