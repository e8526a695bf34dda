// speech average: averages several checkpoints of a run into one model.
#include "examples/speech/options.hpp"

namespace rapt::examples {
using namespace tasks;

int average(const AverageOptions& o) {
  return average(o, [&](const std::string& first, const NamedTensors& mean) {
    SpeechModel model = SpeechModel::load(o.model, first);
    set_parameters(parameters(model.net), mean);
    model.save(o.output, "model.safetensors");
  });
}

}  // namespace rapt::examples
