#include "tasks/training/task.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"

namespace rapt::tasks {

const Tensor& Batch::operator[](const std::string& name) const {
  for (const auto& [known, tensor] : tensors) {
    if (known == name) return tensor;
  }
  throw Error(fmt::format("the batch has no '{}'", name));
}

void Task::save(const std::string& folder, const std::string& file) {
  save_parameters(folder + "/" + file, parameters());
}

}  // namespace rapt::tasks
