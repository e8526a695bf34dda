// What a training run learns: the part that each program writes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "examples/common/report/report.hpp"
#include "examples/common/training/run_log.hpp"
#include "framework/files/checkpoint.hpp"
#include "framework/graph/parameter.hpp"
#include "framework/graph/var.hpp"

namespace rapt::examples {

/// What one update learns from.
struct Batch {
  NamedTensors tensors;
  std::int64_t units = 0;  // what the loss is a mean over, and what the speed counts

  /// The tensor of that name; throws Error where there is none.
  const Tensor& operator[](const std::string& name) const;
};

/// The batches of one pass over the data.
struct Epoch {
  std::int64_t batches = 0;
  double padding = 0;                       // share of the places that are padding, [0, 1)
  std::function<Batch(std::int64_t)> make;  // the i-th; called by one thread, in any order
};

struct DevScores {
  double loss = 0;  // as Task::loss() without what only training adds
  std::vector<Score> scores = {};
};

/// What is learned: data, model, loss and how to measure them.
class Task {
 public:
  virtual ~Task() = default;
  /// Of the model; the same ones, in the same order, at each call.
  virtual std::vector<Parameter> parameters() = 0;
  /// Changes with the data or with how it was prepared: a run is not resumed on other data.
  virtual std::string digest() const = 0;
  /// The batches of epoch 0, 1, ...: as many in each, and the same ones for the same number.
  virtual Epoch epoch(std::int64_t number) = 0;
  /// Records the mean loss of a batch on the current tape, for training.
  virtual Var loss(const Batch& batch) = 0;
  virtual DevScores measure() = 0;
  /// Writes the model so that it can be used as FOLDER/FILE, as a whole or not at all.
  virtual void save(const std::string& folder, const std::string& file) = 0;
  /// What the model is, in a few words, for the report.
  virtual std::string summary() const = 0;
  /// Views of the report beside the curves: samples of what the model does.
  virtual std::vector<ReportView> views() { return {}; }
  /// What loss() depends on beside batch and model, kept with a batch that is put aside.
  virtual std::map<std::string, std::string> settings() const { return {}; }
};

}  // namespace rapt::examples
