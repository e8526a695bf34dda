// Calls a function from several threads at a time.
#pragma once

#include <exception>
#include <latch>
#include <thread>
#include <vector>

namespace rapt::test {

/// Calls body(0) to body(count - 1), each in a thread of its own, starting together. Rethrows the
/// first exception.
template <class Body>
void together(int count, const Body& body) {
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(count));
  std::latch start(count);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < count; ++t) {
      threads.emplace_back([&, t] {
        start.arrive_and_wait();
        try {
          body(t);
        } catch (...) {
          errors[static_cast<std::size_t>(t)] = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace rapt::test
