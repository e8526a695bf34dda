#include "tasks/data/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "framework/core/error.hpp"
#include "framework/files/files.hpp"

namespace rapt::tasks {

void write_file_atomically(const std::string& path, std::string_view text) {
  try {
    write_whole_file(path, [&](const File& file) {
      file.write(text.data(), static_cast<std::int64_t>(text.size()));
    });
  } catch (const Error& error) {
    throw FileError(fmt::format("cannot write {}: {}", path, error.what()));
  }
}

void expect_writable(const std::string& path) {
  namespace fs = std::filesystem;
  try {
    std::error_code none;
    const fs::file_status status = fs::status(path, none);
    if (fs::is_directory(status)) throw FileError("is a folder");
    if (fs::exists(status) && !fs::is_regular_file(status)) {
      if (::access(path.c_str(), W_OK) != 0) throw FileError(error_text(errno));
      return;
    }
    // A file is replaced by another one, so its folder has to take one.
    const std::string trial = fs::weakly_canonical(path, none).string() + ".part";
    File(trial, O_WRONLY | O_CREAT).finish();
    ::unlink(trial.c_str());
  } catch (const Error& error) {
    throw FileError(fmt::format("cannot write {}: {}", path, error.what()));
  }
}

}  // namespace rapt::tasks
