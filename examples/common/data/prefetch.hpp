// Work that is done ahead of need, by a thread.
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

namespace rapt::examples {

/// Calls make() in a thread of its own, at most `ahead` results in front of next(), which gives
/// them in their order. make() returns nothing at the end. What it throws, next() throws in its
/// place; after that, and after the end, there is nothing more. The destructor waits for the call
/// that is running.
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

  /// Waits for the next result. Nothing: the end.
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
    // Here the thread has let go of the exception itself: the one that gets it also ends it.
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
  std::thread thread_;  // last: it uses the others
};

}  // namespace rapt::examples
