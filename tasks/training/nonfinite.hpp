// Saves batches whose loss or gradient was not finite, and reruns them.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "framework/core/random.hpp"
#include "tasks/training/task.hpp"

namespace rapt::tasks {

struct NonfiniteBatch {
  Batch batch;
  std::int64_t step = 0;
  Key key;                                      // of the step's dropout
  std::map<std::string, std::string> settings;  // Task::settings()
  double loss = 0, gradient_norm = 0;
};

/// Writes FOLDER/nonfinite-STEP.safetensors, and next to it the current model. Returns the path of
/// the batch.
std::string save_nonfinite(Task& task, const NonfiniteBatch& bad, const std::string& folder);

/// Reads such a file. Throws Error if it is not one.
NonfiniteBatch load_nonfinite(const std::string& path);

/// Returns a setting as a number. Throws Error if it is missing or not a number.
double number_of(const std::map<std::string, std::string>& settings, const std::string& name);

/// Formats a number for messages: "NaN" whatever its sign bit.
std::string shown(double value);

/// The model that a saved batch is rerun with.
struct Replayed {
  std::vector<Parameter> parameters;
  std::function<Var(const Batch&)> loss;
};

struct ReplayOptions {
  std::string batch, model;  // the saved batch's file, the model's folder
  int threads = 0;
};

/// Reruns a saved batch with every result checked, and reports which operator produced the first
/// NaN or infinity. `load` reads the model FOLDER/FILE in training mode, with the batch's settings.
/// FILE is the model saved with the batch, if it exists. Returns 0.
int replay(const ReplayOptions& options,
           const std::function<Replayed(const std::string& folder, const std::string& file,
                                        const std::map<std::string, std::string>& settings)>& load);

}  // namespace rapt::tasks
