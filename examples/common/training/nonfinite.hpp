// Batches whose loss or gradient was not finite: put aside by training, to be run again.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "examples/common/training/task.hpp"
#include "framework/core/random.hpp"

namespace rapt::examples {

struct NonfiniteBatch {
  Batch batch;
  std::int64_t step = 0;
  Key key;                                      // of the step's dropout
  std::map<std::string, std::string> settings;  // Task::settings()
  double loss = 0, gradient_norm = 0;
};

/// Writes FOLDER/nonfinite-STEP.safetensors, and beside it the model as it was when that happened.
/// Returns the path of the batch.
std::string save_nonfinite(Task& task, const NonfiniteBatch& bad, const std::string& folder);

/// Reads such a file; throws Error where it is none.
NonfiniteBatch load_nonfinite(const std::string& path);

/// A setting as a number; throws Error where it is missing or none.
double number_of(const std::map<std::string, std::string>& settings, const std::string& name);

/// A number for people: "NaN" whatever its sign bit.
std::string shown(double value);

/// What a batch is run through again.
struct Replayed {
  std::vector<Parameter> parameters;
  std::function<Var(const Batch&)> loss;
};

struct ReplayOptions {
  std::string batch, model;  // the file that was put aside, the folder
  int threads = 0;
};

/// Runs a batch again that training has put aside, with every result checked, and says where the
/// first NaN or infinity came from. `load` reads the model FOLDER/FILE as it is in training, with
/// the batch's settings: that of the time, if it is there. Returns 0.
int replay(const ReplayOptions& options,
           const std::function<Replayed(const std::string& folder, const std::string& file,
                                        const std::map<std::string, std::string>& settings)>& load);

}  // namespace rapt::examples
