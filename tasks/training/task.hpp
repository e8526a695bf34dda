// The interface between the training loop and what is learned: data, model and loss.
//
// A task of your own needs parameters(), epoch(), loss() and measure(). examples/own_task.cpp is
// one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "framework/files/checkpoint.hpp"
#include "framework/graph/parameter.hpp"
#include "framework/graph/var.hpp"
#include "tasks/report/report.hpp"
#include "tasks/training/run_log.hpp"

namespace rapt::tasks {

/// The input of one update.
struct Batch {
  NamedTensors tensors;
  std::int64_t units = 0;  // the loss is a mean over these; the speed counts them

  /// Returns the tensor of that name. Throws Error if there is none.
  const Tensor& operator[](const std::string& name) const;
};

/// The batches of one pass over the data.
struct Epoch {
  std::int64_t batches = 0;
  double padding = 0;                       // share of padded positions, [0, 1)
  std::function<Batch(std::int64_t)> make;  // makes the i-th; called by one thread, in any order
};

struct DevScores {
  double loss = 0;  // as Task::loss(), without training-only terms
  std::vector<Score> scores = {};
};

/// A training task: its data, model, loss and measures.
class Task {
 public:
  virtual ~Task() = default;
  /// Returns the model's parameters: the same ones, in the same order, at each call.
  virtual std::vector<Parameter> parameters() = 0;
  /// Returns a fingerprint of the data and its preparation. A run is not resumed if it differs.
  virtual std::string digest() const { return {}; }
  /// Returns the batches of epoch 0, 1, ... Every epoch has the same number of batches. The same
  /// `number` gives the same batches.
  virtual Epoch epoch(std::int64_t number) = 0;
  /// Records the mean loss of a batch on the current tape, for training.
  virtual Var loss(const Batch& batch) = 0;
  /// Measures the model on held-out data, after each epoch.
  virtual DevScores measure() = 0;
  /// Saves the model as FOLDER/FILE, ready for use. The file is written as a whole or not at all.
  /// By default it holds the parameters alone, as load_parameters() reads them.
  virtual void save(const std::string& folder, const std::string& file);
  /// Returns a short description of the model for the report.
  virtual std::string summary() const { return {}; }
  /// Returns views of the report besides the curves, such as samples of the model's output.
  virtual std::vector<ReportView> views() { return {}; }
  /// Returns the settings that loss() depends on besides batch and model. They are saved with a
  /// non-finite batch.
  virtual std::map<std::string, std::string> settings() const { return {}; }
};

}  // namespace rapt::tasks
