// speech average: one model from several checkpoints of a run.
#include <fmt/format.h>

#include <rapt/framework/average.hpp>
#include <rapt/framework/checkpoint.hpp>

#include "../common/kept.hpp"
#include "options.hpp"

namespace rapt::examples {

int average(const SpeechAverageOptions& o) {
  const std::vector<std::string> files = kept_checkpoints(o.model, o.last);
  std::vector<std::string> paths;
  for (const std::string& file : files) paths.push_back(o.model + "/" + file);
  SpeechModel model = SpeechModel::load(o.model, files.front());
  set_parameters(parameters(model.net), average_checkpoints(paths).tensors);
  model.save(o.output, "model.safetensors");
  fmt::print(stderr, "{}: the mean of {} checkpoints, {} to {}\n", o.output, files.size(),
             files.front(), files.back());
  return 0;
}

}  // namespace rapt::examples
