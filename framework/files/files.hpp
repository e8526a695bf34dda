// Files that are read and written through system calls, safely in case of a crash. rapt::tasks uses
// them, too: these are the only private names that a shared library exports.
#pragma once

#include <cstdint>
#include <string>

#include "framework/core/api.hpp"
#include "framework/core/function_ref.hpp"
#include "framework/core/internal.hpp"

namespace rapt::internal {

/// Returns the system's text for an errno: "No such file or directory". Safe on any thread.
RAPT_API std::string error_text(int error);

/// An open file, closed at the end of the scope. If a system call fails, an Error names the
/// attempted action and the reason, but not the file.
class RAPT_API File {
 public:
  /// Opens a file. `flags` and `mode` are those of open(); O_CLOEXEC is added.
  File(const std::string& path, int flags, unsigned mode = 0666);
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  /// Returns the file descriptor.
  int id() const { return id_; }
  /// Returns the size in bytes. Throws Error for a folder, a pipe or a device.
  int64_t size() const;
  /// Returns the first bytes, at most `most` of them. Does not move the position of read().
  std::string beginning(int64_t most) const;
  void read(void* to, int64_t bytes) const;
  void write(const void* from, int64_t bytes) const;
  /// Waits until the data are on the disk, if there is one, and closes the file.
  void finish();

 private:
  int id_;
};

/// Calls `write` to fill the file that `path` names.
///
/// A regular file is replaced atomically when the new one is on the disk. After a crash, either the
/// old file or the new one is there. Mode and owner are kept. A symbolic link stays, and its target
/// is replaced or created. A pipe or a device is written to directly. Throws Error if `path` is a
/// folder, or a system call fails.
RAPT_API void write_whole_file(const std::string& path, FunctionRef<void(const File&)> write);

/// Syncs the folder of a file, which makes renamings, links and removals in it durable. Without it,
/// a crash of the machine may undo them. File systems that cannot sync folders are tolerated.
RAPT_API void sync_folder_of(const std::string& path);

}  // namespace rapt::internal
