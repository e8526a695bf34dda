// Files: read and written through the system, whole, and safe from a crash.
#pragma once

#include <cstdint>
#include <string>

#include "framework/core/function_ref.hpp"

namespace rapt {

/// What the system calls an errno: "No such file or directory". Safe on any thread.
std::string error_text(int error);

/// An open file, closed at the end of the scope. Where the system refuses, an Error says what was
/// tried and why; it does not name the file.
class File {
 public:
  /// `flags` and `mode` are those of open(); O_CLOEXEC is added.
  File(const std::string& path, int flags, unsigned mode = 0666);
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  /// For calls of the system.
  int id() const { return id_; }
  /// Its bytes. Throws Error where it is a folder, a pipe or a device.
  int64_t size() const;
  /// Its first bytes, at most `most` of them; what read() reads next stays as it was.
  std::string beginning(int64_t most) const;
  void read(void* to, int64_t bytes) const;
  void write(const void* from, int64_t bytes) const;
  /// Waits until the data are on the disk, where there is one, and closes the file.
  void finish();

 private:
  int id_;
};

/// Lets `write` fill the file that `path` names.
///
/// A regular file is replaced at once, when the new one is on the disk: whatever happens, there is
/// the old one or the new one. Mode and owner are kept. A symbolic link stays, and what it leads to
/// is replaced or made. A pipe or a device is written to as it is. Throws Error where `path` is a
/// folder, or the system refuses.
void write_whole_file(const std::string& path, FunctionRef<void(const File&)> write);

/// Makes what was renamed, linked or removed in a file's folder last: without it, a crash of the
/// machine may undo it. Some file systems cannot sync folders; they have to do without.
void sync_folder_of(const std::string& path);

}  // namespace rapt
