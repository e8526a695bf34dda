// The checkpoints of one training run.
//
//   CheckpointFolder checkpoints("model/checkpoints", 3);
//   if (const auto last = checkpoints.latest()) {
//     set_parameters(parameters(model), last->checkpoint.tensors);
//     adam.load(last->checkpoint.tensors);
//   }
//   ...
//   checkpoints.save(adam.steps(), arrays, {{"epoch", "3"}}, dev_loss < best);
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/files/checkpoint.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Keeps the last few checkpoints of a run in a folder, as step-000001200.safetensors, and the best
/// one, as best.safetensors. These files are complete even after a crash of the program or the
/// machine. An older file is removed only when the newer one is on the disk.
class CheckpointFolder {
 public:
  /// The first save() creates the folder. Throws Error if `keep` is below 1.
  explicit CheckpointFolder(std::string path, int64_t keep = 3);
  ~CheckpointFolder();
  CheckpointFolder(const CheckpointFolder&) = delete;
  CheckpointFolder& operator=(const CheckpointFolder&) = delete;

  /// Returns the steps of the existing files, ascending. Returns nothing if there is no folder.
  std::vector<int64_t> steps() const;
  /// Returns the path of a step's file, whether or not it exists.
  std::string file(int64_t step) const;
  /// Returns the path of the best checkpoint. It is a hard link to its step's file, so that the
  /// data are not written twice.
  std::string best_file() const { return path_ + "/best.safetensors"; }

  /// Writes a checkpoint and drops the oldest ones. `best`: this is the best state so far. Throws
  /// Error as save_safetensors() does, and if another process saves to the folder.
  void save(int64_t step, const NamedTensors& tensors,
            const std::map<std::string, std::string>& metadata, bool best = false);

  struct Latest {
    int64_t step = 0;
    Checkpoint checkpoint;
    /// The reasons why newer files were skipped: a failing disk, or truncated files.
    std::vector<std::string> damaged;
  };
  /// Returns the newest readable checkpoint, or nothing if there are no files. Throws Error if
  /// there are files but none can be read.
  std::optional<Latest> latest() const;

  /// Removes all checkpoints. Throws Error as save() does.
  void clear();

  /// Makes the folder if need be, and locks it until this object or the process ends. save() and
  /// clear() do so too. Removes what a killed process has left unfinished. Throws Error if another
  /// process, or another object, has the lock.
  void claim();

 private:
  std::string path_;
  int64_t keep_;
  int lock_ = -1;
};

}  // namespace v0
}  // namespace rapt
