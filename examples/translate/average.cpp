// translate average: averages several checkpoints of a run into one model.
#include "examples/translate/options.hpp"
#include "tasks/translation/translation.hpp"

namespace rapt::examples {
using namespace tasks;

int average(const AverageOptions& o) {
  return average(o, [&](const std::string& first, const NamedTensors& mean) {
    TranslationModel model = TranslationModel::load(o.model, first);
    set_parameters(parameters_of(model.net), mean);
    model.save(o.output);
  });
}

}  // namespace rapt::examples
