#include "tasks/data/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>

#include "framework/files/files.hpp"

namespace rapt::tasks {
namespace {

[[noreturn]] void fail(const std::string& path, int error) {
  throw std::runtime_error(
      fmt::format("cannot write {}: {}", path, std::generic_category().message(error)));
}

// Returns 0, or errno on failure.
int write_and_sync(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return ::fsync(fd) == 0 ? 0 : errno;
}

}  // namespace

void write_file_atomically(const std::string& path, std::string_view text) {
  static std::atomic<int> files{0};
  const std::string temporary = fmt::format("{}.new-{}-{}", path, ::getpid(), files++);
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) fail(path, errno);
  int error = write_and_sync(fd, text);
  if (::close(fd) != 0 && error == 0) error = errno;
  if (error == 0 && std::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    fail(path, error);
  }
  sync_folder_of(path);
}

}  // namespace rapt::tasks
