// The samples in the report of a translation run.
#pragma once

#include <string>
#include <vector>

#include "examples/common/report/report.hpp"
#include "examples/common/translation/translation.hpp"

namespace rapt::examples {

/// Returns a text such as "Transformer, 3 + 3 layers, width 256 ..."
std::string summary_of(const TranslationModel& model);

/// Translates some sentences of `pairs` greedily, evenly spread over the set. Returns views of the
/// attention weights for the model's own translations.
std::vector<ReportView> sample_views(const TranslationModel& model, const PairSet& pairs);

}  // namespace rapt::examples
