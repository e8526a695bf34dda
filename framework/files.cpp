#include <fcntl.h>
#include <unistd.h>

#include <rapt/framework/files.hpp>

namespace rapt {

void sync_folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int id = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (id < 0) return;
  ::fsync(id);
  ::close(id);
}

}  // namespace rapt
