// The report of a training run: its figures and curves, the task's own views, and its notes.
#pragma once

#include <string>

#include "tasks/training/task.hpp"

namespace rapt::tasks {

struct RunFacts {
  std::string model;  // the folder
  std::string unit;   // what the speed counts
  std::int64_t best_epoch = 0, epochs = 0;
};

/// Writes FOLDER/index.html.
void write_run_report(const std::string& folder, Task& task, const RunLog& log,
                      const RunFacts& facts);

}  // namespace rapt::tasks
