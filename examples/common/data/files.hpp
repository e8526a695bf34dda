// Writing a file all at once.
#pragma once

#include <string>
#include <string_view>

namespace rapt::examples {

/// Replaces the file at `path` as a whole: the text goes into a new file in the same folder,
/// reaches the disk, and takes the name. Whoever reads `path` sees the old text or the new one,
/// never a part. Throws std::runtime_error, naming path and reason; the old file is then untouched.
void write_file_atomically(const std::string& path, std::string_view text);

}  // namespace rapt::examples
