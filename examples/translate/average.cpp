// translate average: averages several checkpoints of a run into one model.
#include "examples/common/translation/translation.hpp"
#include "examples/translate/options.hpp"

namespace rapt::examples {

int average(const AverageOptions& o) {
  return average(o, [&](const std::string& first, const NamedTensors& mean) {
    TranslationModel model = TranslationModel::load(o.model, first);
    set_parameters(parameters_of(model.net), mean);
    model.save(o.output);
  });
}

}  // namespace rapt::examples
