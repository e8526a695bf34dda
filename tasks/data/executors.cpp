#include "tasks/data/executors.hpp"

namespace rapt::tasks {

std::unique_ptr<Executor> Executors::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Executor> executor = std::move(idle_.back());
      idle_.pop_back();
      return executor;
    }
    // Room for every executor: giving one back allocates nothing, so it cannot fail.
    idle_.reserve(++made_);
  }
  return std::make_unique<Executor>(options_);
}

void Executors::give_back(std::unique_ptr<Executor> executor) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(executor));
}

}  // namespace rapt::tasks
