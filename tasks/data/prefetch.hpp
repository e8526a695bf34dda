// Prefetches results in a background thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace rapt::tasks {

/// Calls make() in its own thread, at most `ahead` results before next() needs them. next() returns
/// the results in order. make() returns std::nullopt at the end. An exception of make() is rethrown
/// by next() in place of the result. After an exception or the end, next() returns std::nullopt.
/// The destructor waits for the running call.
template <class T>
class Prefetch {
 public:
  Prefetch(std::size_t ahead, std::function<std::optional<T>()> make)
      : ahead_(ahead > 0 ? ahead : 1), make_(std::move(make)), thread_([this] { work(); }) {}
  ~Prefetch() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  /// Waits for the next result. Returns std::nullopt at the end.
  std::optional<T> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || ended_; });
    if (ready_.empty()) {
      if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
      return std::nullopt;
    }
    std::optional<T> result(std::move(ready_.front()));
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return result;
  }

 private:
  void work() {
    std::exception_ptr error;
    try {
      for (;;) {
        {
          std::unique_lock lock(mutex_);
          changed_.wait(lock, [this] { return stop_ || ready_.size() < ahead_; });
          if (stop_) break;
        }
        std::optional<T> made = make_();
        const std::lock_guard lock(mutex_);
        if (!made) break_off(nullptr);
        if (ended_) return;
        ready_.push_back(*std::move(made));
        changed_.notify_all();
      }
    } catch (...) {
      error = std::current_exception();
    }
    // The catch block has ended, so this thread holds no other reference to the exception. The
    // thread that receives it also destroys it.
    if (error == nullptr) return;
    const std::lock_guard lock(mutex_);
    break_off(std::move(error));
  }

  void break_off(std::exception_ptr error) {
    ended_ = true;
    error_ = std::move(error);
    changed_.notify_all();
  }

  const std::size_t ahead_;
  const std::function<std::optional<T>()> make_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> ready_;
  bool stop_ = false, ended_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // last member: the thread uses the others
};

}  // namespace rapt::tasks
