// An array for kernel tests that detects any access past its end.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "tests/support/catch.hpp"

namespace rapt::test {

/// An array that ends right before an inaccessible page. Its elements are uniform in +-spread, or
/// all 77, or as given. Sizes and indices are integers of any type.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::integral auto n, double spread = 0, uint32_t seed = 1)
      : size_(static_cast<int64_t>(n)) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t bytes = static_cast<size_t>(n) * sizeof(T);
    bytes_ = (bytes + page - 1) / page * page + page;
    void* memory =
        mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    base_ = static_cast<char*>(memory);
    REQUIRE(mprotect(base_ + bytes_ - page, page, PROT_NONE) == 0);
    data_ = reinterpret_cast<T*>(base_ + bytes_ - page - bytes);
    std::mt19937 generator(seed);
    std::uniform_real_distribution<double> uniform(-spread, spread);
    for (int64_t i = 0; i < size_; ++i)
      data_[i] = static_cast<T>(spread > 0 ? uniform(generator) : 77.0);
  }
  explicit Guarded(const std::vector<T>& values) : Guarded(values.size()) {
    std::copy(values.begin(), values.end(), data_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(base_, bytes_); }

  T* data() const { return data_; }
  T& operator[](std::integral auto i) const { return data_[i]; }
  int64_t size() const { return size_; }
  std::vector<T> values() const { return {data_, data_ + size_}; }

 private:
  char* base_ = nullptr;
  size_t bytes_ = 0;
  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace rapt::test
