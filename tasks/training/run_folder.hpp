// The files of a training run in its folder, besides its checkpoints.
//
//   model.safetensors             the best model
//   epoch-0007.safetensors        kept models, or step-000001200.safetensors; kept.json lists them
//   nonfinite-000000123*          batches whose loss or gradient was not finite
//   log.jsonl, training.json, options.toml
#pragma once

#include <string>
#include <vector>

namespace rapt::tasks {

/// Throws Error if the folder holds a model: there is no run to go on with, and a new one would
/// overwrite it.
void expect_no_model(const std::string& folder);

/// Removes the files of a run. What a model needs besides, such as vocabularies, stays.
void clear_run(const std::string& folder);

/// Removes unfinished files that a killed process has left. Call it with the folder's lock held.
void sweep_unfinished(const std::string& folder);

/// Returns the names of the kept models in the folder, the oldest first: those of the list that
/// set_kept_models() wrote. It is empty if there is none.
std::vector<std::string> kept_models(const std::string& folder);
/// Writes the list, then removes all other kept models.
void set_kept_models(const std::string& folder, const std::vector<std::string>& names);

}  // namespace rapt::tasks
