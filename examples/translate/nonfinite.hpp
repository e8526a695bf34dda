// Batches whose loss or gradient was not finite: put aside by training, to be run again.
#pragma once

#include <string>

#include "../common/translation.hpp"

namespace rapt::examples {

struct NonfiniteBatch {
  PairBatch batch;
  std::int64_t step = 0;
  Key key;  // of the step's dropout
  double label_smoothing = 0;
  double dropout = 0;
  double loss = 0, gradient_norm = 0;
};

/// Writes FOLDER/nonfinite-STEP.safetensors, and beside it the model as it was when that happened.
/// Returns the path of the batch.
std::string save_nonfinite(const NonfiniteBatch& bad, TranslationModel& model,
                           const std::string& folder);

/// Reads such a file; throws Error where it is none. Its count of tokens is left at 0.
NonfiniteBatch load_nonfinite(const std::string& path);

/// A number for people: "NaN" whatever its sign bit.
std::string shown(double value);

/// The model's file beside a batch's.
std::string model_file_of(const std::string& batch_path);

}  // namespace rapt::examples
