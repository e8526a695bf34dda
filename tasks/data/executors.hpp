// Executors for objects that several threads call.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "framework/run/executor.hpp"

namespace rapt::tasks {

/// A pool of executors. Each call of an object that owns one takes an executor that nobody uses, or
/// makes one. So calls from any number of threads share plans, but never an executor.
class Executors {
 public:
  /// `threads` is the limit of each executor, as in ExecutorOptions.
  explicit Executors(int threads = 0) : options_{.threads = threads} {}

  /// Makes an idle executor the current one of this thread during its own lifetime.
  class Lease {
   public:
    explicit Lease(Executors& from) : back_{from, from.take()}, use_(*back_.executor) {}
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

   private:
    struct Back {
      Executors& from;
      std::unique_ptr<Executor> executor;
      ~Back() { from.give_back(std::move(executor)); }
    };
    Back back_;  // first member: the executor is given back when it is no longer in use
    Executor::Use use_;
  };

 private:
  std::unique_ptr<Executor> take();
  void give_back(std::unique_ptr<Executor> executor);

  ExecutorOptions options_;
  std::mutex mutex_;
  std::size_t made_ = 0;
  std::vector<std::unique_ptr<Executor>> idle_;
};

}  // namespace rapt::tasks
