#include "framework/core/parallel.hpp"

#include <tbb/parallel_for.h>

#include "framework/core/tensor.hpp"

namespace rapt::internal {
void serial_for(int64_t n, FunctionRef<void(int64_t)> body) {
  for (int64_t i = 0; i < n; ++i) body(i);
}

void parallel_for(int64_t n, FunctionRef<void(int64_t)> body) {
  if (n <= 1) return serial_for(n, body);
  tbb::parallel_for(
      tbb::blocked_range<int64_t>(0, n, 1),
      [&](const tbb::blocked_range<int64_t>& range) {
        for (int64_t i = range.begin(); i < range.end(); ++i) body(i);
      },
      tbb::simple_partitioner());
}

void* worker_scratch(int64_t bytes) {
  thread_local std::shared_ptr<std::byte> memory;
  thread_local int64_t capacity = 0;
  if (bytes > capacity) {
    memory = allocate(bytes);
    capacity = bytes;
  }
  return memory.get();
}

}  // namespace rapt::internal
