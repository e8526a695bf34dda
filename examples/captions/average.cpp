// captions average: averages several checkpoints of a run into one model.
#include "examples/captions/options.hpp"
#include "tasks/captions/caption_model.hpp"

namespace rapt::examples {
using namespace tasks;

int average(const AverageOptions& o) {
  return average(o, [&](const std::string& first, const NamedTensors& mean) {
    CaptionModel model = CaptionModel::load(o.model, first);
    set_parameters(parameters_of(model.net), mean);
    model.save(o.output);
  });
}

}  // namespace rapt::examples
