#include "framework/files/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "framework/core/error.hpp"

namespace rapt::internal {
namespace {

// There are two versions of strerror_r(): POSIX's fills the buffer, GNU's may return another text.
[[maybe_unused]] const char* text_of(int failed, const char* buffer) {
  return failed == 0 ? buffer : "unknown error";
}
[[maybe_unused]] const char* text_of(const char* text, const char*) { return text; }

[[noreturn]] void fail_errno(const char* what) {
  throw FileError(fmt::format("cannot {}: {}", what, error_text(errno)));
}

/// Follows the symbolic links of `path` to the end, which need not exist.
std::string end_of_links(const std::string& path) {
  namespace fs = std::filesystem;
  fs::path at = path;
  for (int links = 0; links < 40; ++links) {
    std::error_code none;
    const fs::path next = fs::read_symlink(at, none);
    if (none) return at.string();
    at = at.parent_path() / next;  // an absolute `next` replaces the whole path
  }
  errno = ELOOP;
  fail_errno("open");
}

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// Gives a new file the owner and the mode of the file that it replaces, as far as the process is
/// allowed to and the file system supports it. Failures are ignored, because they must not cost the
/// data.
void take_after(const File& file, const struct stat& old) {
  struct stat own {};
  if (::fstat(file.id(), &own) != 0) return;
  const bool other = own.st_uid != old.st_uid || own.st_gid != old.st_gid;
  if (other && ::fchown(file.id(), old.st_uid, old.st_gid) != 0) errno = 0;
  if (::fchmod(file.id(), old.st_mode & 0777) != 0) errno = 0;
}

/// Writes a temporary file and renames it to `path`. `old` describes the existing file, or is null.
void replace_file(const std::string& path, const struct stat* old,
                  FunctionRef<void(const File&)> write) {
  const std::string unfinished = path + ".part";
  ::unlink(unfinished.c_str());  // a killed process may have left one
  // Nobody else may read it before it has the mode of the old file.
  File file(unfinished, O_WRONLY | O_CREAT | O_EXCL, old != nullptr ? 0600 : 0666);
  try {
    write(file);
    if (old != nullptr) take_after(file, *old);
    file.finish();
    if (::rename(unfinished.c_str(), path.c_str()) != 0) fail_errno("rename");
  } catch (...) {
    ::unlink(unfinished.c_str());
    throw;
  }
  sync_folder_of(path);
}

}  // namespace

std::string error_text(int error) {
  std::array<char, 256> buffer{};
  return text_of(::strerror_r(error, buffer.data(), buffer.size()), buffer.data());
}

File::File(const std::string& path, int flags, unsigned mode)
    : id_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {
  if (id_ < 0) fail_errno("open");
}

File::~File() {
  if (id_ >= 0) ::close(id_);
}

int64_t File::size() const {
  struct stat status {};
  if (::fstat(id_, &status) != 0) fail_errno("stat");
  if (!S_ISREG(status.st_mode)) throw FileError("is not a file");
  return status.st_size;
}

std::string File::beginning(int64_t most) const {
  std::string bytes(static_cast<size_t>(most), '\0');
  size_t got = 0;
  while (got < bytes.size()) {
    const ssize_t n = ::pread(id_, bytes.data() + got, bytes.size() - got, static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("read");
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

void File::read(void* to, int64_t bytes) const {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = ::read(id_, at, static_cast<size_t>(bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("read");
    if (n == 0) throw FileError("ended while it was read");
    at += n;
    bytes -= n;
  }
}

void File::write(const void* from, int64_t bytes) const {
  const auto* at = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n = ::write(id_, at, static_cast<size_t>(bytes));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("write");
    at += n;
    bytes -= n;
  }
}

void File::finish() {
  // EINVAL: a pipe or a device that cannot be synced.
  if (::fsync(id_) != 0 && errno != EINVAL) fail_errno("sync");
  if (::close(std::exchange(id_, -1)) != 0) fail_errno("close");
}

void write_whole_file(const std::string& path, FunctionRef<void(const File&)> write) {
  struct stat old {};
  if (::stat(path.c_str(), &old) != 0) {
    if (errno != ENOENT) fail_errno("open");
    replace_file(end_of_links(path), nullptr, write);
    return;
  }
  if (S_ISDIR(old.st_mode)) throw FileError("is a folder");
  if (S_ISREG(old.st_mode)) {
    const std::string target = end_of_links(path);
    struct stat there {};
    if (::lstat(target.c_str(), &there) == 0 && is_same(old, there)) {
      replace_file(target, &old, write);
      return;
    }
  }
  // A pipe, a device, or an open file that has been unlinked (/dev/stdout may point to one).
  File file(path, O_WRONLY | O_NOCTTY | (S_ISREG(old.st_mode) ? O_TRUNC : 0));
  write(file);
  file.finish();
}

void sync_folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int id = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (id < 0) return;
  ::fsync(id);
  ::close(id);
}

}  // namespace rapt::internal
