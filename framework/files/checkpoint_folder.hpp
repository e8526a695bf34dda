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

namespace rapt RAPT_API {

/// Keeps the last few checkpoints of a run in a folder, as step-000001200.safetensors, and the best
/// one, as best.safetensors. Whenever the program or the machine stops, each of these files is
/// whole: an older one goes only once the newer one is on the disk.
class CheckpointFolder {
 public:
  /// The folder is made by the first save(). Throws Error where `keep` is below 1.
  explicit CheckpointFolder(std::string path, int64_t keep = 3);
  ~CheckpointFolder();
  CheckpointFolder(const CheckpointFolder&) = delete;
  CheckpointFolder& operator=(const CheckpointFolder&) = delete;

  /// The steps that there are files of, rising. None where there is no such folder.
  std::vector<int64_t> steps() const;
  std::string file(int64_t step) const;
  /// The best checkpoint is a second name of its step's file, so that it takes no writing.
  std::string best_file() const { return path_ + "/best.safetensors"; }

  /// Writes a checkpoint, of the best state so far or not, and drops the oldest ones. Throws Error
  /// as save_safetensors() does, and where another process saves to the folder.
  void save(int64_t step, const NamedTensors& tensors,
            const std::map<std::string, std::string>& metadata, bool best = false);

  struct Latest {
    int64_t step = 0;
    Checkpoint checkpoint;
    /// Why newer files were passed over: a failing disk, or files that somebody cut.
    std::vector<std::string> damaged;
  };
  /// The newest checkpoint that can be read; nothing where there is no file. Throws Error where
  /// there are files and none can be read.
  std::optional<Latest> latest() const;

  /// Removes all checkpoints. Throws Error as save() does.
  void clear();

 private:
  void claim();

  std::string path_;
  int64_t keep_;
  int lock_ = -1;
};

}  // namespace rapt
