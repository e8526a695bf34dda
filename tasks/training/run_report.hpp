// The report of a training run: its figures and curves, the task's own views, and its notes.
#pragma once

#include <string>

#include "tasks/training/task.hpp"

namespace rapt::tasks {

struct RunFacts {
  std::string model;               // the folder
  std::string unit;                // what the speed counts
  std::string measured = "epoch";  // what was measured: each epoch, or some steps
  std::int64_t best = 0, all = 0;  // the best one, and how many there were
};

/// Writes FOLDER/index.html.
void write_run_report(const std::string& folder, Task& task, const RunLog& log,
                      const RunFacts& facts);

}  // namespace rapt::tasks
