// What the report of a translation run shows beside its curves.
#pragma once

#include <string>
#include <vector>

#include "examples/common/report/report.hpp"
#include "examples/common/translation/translation.hpp"

namespace rapt::examples {

/// "Transformer, 3 + 3 layers, width 256 ..."
std::string summary_of(const TranslationModel& model);

/// Where the model looks in sentences of `pairs`, spread over all of them, which it translates
/// greedily; the weights are those of writing its own translation.
std::vector<ReportView> sample_views(const TranslationModel& model, const PairSet& pairs);

}  // namespace rapt::examples
