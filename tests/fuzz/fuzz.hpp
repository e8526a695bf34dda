// What every fuzz harness defines, and what it may use.
//
// A harness reads one input by the functions under test. Errors that they promise are caught; any
// other exception, a signal, or a report of a sanitizer is a finding. The harness runs under
// libFuzzer (clang++, -DRAPT_LIBFUZZER=ON) or with the plain loop of driver.cpp.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// Runs one input. Returns 0.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace rapt::fuzz {

/// Returns good inputs, from which the plain loop makes others.
std::vector<std::string> seeds();

/// A file of the harness, in memory where the system has such files.
class MemoryFile {
 public:
  MemoryFile() {
#ifdef __linux__
    fd_ = ::memfd_create("fuzz", 0);
    path_ = "/proc/self/fd/" + std::to_string(fd_);
#else
    path_ = "/tmp/rapt-fuzz-XXXXXX";
    fd_ = ::mkstemp(path_.data());
#endif
    if (fd_ < 0) throw std::runtime_error("no file for the inputs");
  }
  ~MemoryFile() {
    ::close(fd_);
#ifndef __linux__
    ::unlink(path_.c_str());
#endif
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  /// Replaces what the file holds, and returns its path.
  const std::string& set(std::string_view bytes) {
    const auto size = static_cast<off_t>(bytes.size());
    if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, bytes.data(), bytes.size(), 0) != size) {
      throw std::runtime_error("the file of the inputs cannot be written");
    }
    return path_;
  }

 private:
  int fd_ = -1;
  std::string path_;
};

/// Returns what a file holds.
inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Throws unless something holds that every input has to fulfil.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

}  // namespace rapt::fuzz
