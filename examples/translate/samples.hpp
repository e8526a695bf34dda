// The samples in the report of a translation run.
#pragma once

#include <string>
#include <vector>

#include "tasks/report/report.hpp"
#include "tasks/translation/translation.hpp"

namespace rapt::examples {
using namespace tasks;

/// Returns a text such as "Transformer, 3 + 3 layers, width 256 ..."
std::string summary_of(const TranslationModel& model);

/// Translates some sentences of `pairs` greedily, evenly spread over the set. Returns views of the
/// attention weights for the model's own translations.
std::vector<ReportView> sample_views(const TranslationModel& model, const PairSet& pairs);

}  // namespace rapt::examples
