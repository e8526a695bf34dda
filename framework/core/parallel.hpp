// Parallel loops. Code other than the executor uses TBB only through these functions.
#pragma once

#include <cstdint>

#include "framework/core/function_ref.hpp"
#include "framework/core/internal.hpp"

namespace rapt::internal {

/// Calls body(0) ... body(n - 1) one after the other.
void serial_for(int64_t n, FunctionRef<void(int64_t)> body);

/// Calls body(0) ... body(n - 1), in parallel if the thread's TBB arena has idle workers.
void parallel_for(int64_t n, FunctionRef<void(int64_t)> body);

/// Returns working memory of this thread, aligned to 64 bytes and valid until its next call. For
/// bodies of parallel loops that do not wait themselves: a waiting thread may run another body in
/// the meantime.
void* worker_scratch(int64_t bytes);

}  // namespace rapt::internal
