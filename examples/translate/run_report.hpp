// The report of a translation run: its curves, and where the model looks in sample sentences.
#pragma once

#include <string>

#include "../common/run_log.hpp"
#include "../common/translation.hpp"

namespace rapt::examples {

struct RunFacts {
  std::string model;  // the folder
  std::string unit;   // what the speed counts: words or tokens
  std::int64_t best_epoch = 0, epochs = 0;
};

/// Writes FOLDER/index.html. The samples are sentences of `pairs`, spread over all of them, which
/// the model translates greedily; the weights are those of writing its own translation.
void write_run_report(const std::string& folder, const TranslationModel& model,
                      const PairSet& pairs, const RunLog& log, const RunFacts& facts);

}  // namespace rapt::examples
