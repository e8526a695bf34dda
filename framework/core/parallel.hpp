// Splitting work: the door to TBB for everything that is not the executor.
#pragma once

#include <cstdint>

#include "framework/core/function_ref.hpp"

namespace rapt {

/// Calls body(0) ... body(n - 1) one after the other.
void serial_for(int64_t n, FunctionRef<void(int64_t)> body);

/// Calls body(0) ... body(n - 1), side by side where the thread's TBB arena has workers to spare.
void parallel_for(int64_t n, FunctionRef<void(int64_t)> body);

/// How many threads share the loops of the step that this thread runs; 1: it does all itself. For
/// how work is grouped: what is computed must not depend on it.
int loop_threads();

/// While it lives, `threads` share the loops of the step that this thread runs.
class LoopThreads {
 public:
  explicit LoopThreads(int threads);
  ~LoopThreads();
  LoopThreads(const LoopThreads&) = delete;
  LoopThreads& operator=(const LoopThreads&) = delete;

 private:
  int before_;
};

/// Working memory of this thread, aligned to 64 bytes, good until its next call. For the body of a
/// parallel loop that itself waits for nothing: a thread that waits may run another body meanwhile.
void* worker_scratch(int64_t bytes);

}  // namespace rapt
