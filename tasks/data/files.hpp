// Writes files atomically.
#pragma once

#include <string>
#include <string_view>

namespace rapt::tasks {

/// Replaces the file at `path` as a whole. The text is written to a new file in the same folder and
/// synced to disk; then that file is renamed. A reader of `path` sees the old text or the new one,
/// never a part. Throws std::runtime_error with path and reason; the old file is then untouched.
void write_file_atomically(const std::string& path, std::string_view text);

}  // namespace rapt::tasks
