// Writes text files.
#pragma once

#include <string>
#include <string_view>

namespace rapt::tasks {

/// Writes a file as a whole. A regular file is replaced when the new one is on the disk: a reader
/// of `path` sees the old text or the new one, never a part. A symbolic link stays, and its target
/// is replaced. A device or a pipe is written to. Throws Error with path and reason.
void write_file_atomically(const std::string& path, std::string_view text);

/// Finds out whether a file can be written, before the work for it begins. Throws Error with path
/// and reason if not.
void expect_writable(const std::string& path);

}  // namespace rapt::tasks
