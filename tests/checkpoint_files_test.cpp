// What a checkpoint's path may name: links, pipes, devices, files of other kinds, cut ones.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <future>
#include <rapt/framework/checkpoint.hpp>
#include <rapt/framework/error.hpp>
#include <rapt/framework/files.hpp>
#include <rapt/framework/random.hpp>

#include "catch.hpp"
#include "temporary_folder.hpp"

using namespace rapt;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
namespace fs = std::filesystem;

namespace {

NamedTensors numbers(float first) { return {{"w", tensor<float>({first, 2, 3})}}; }

float first_of(const std::string& path) { return load_safetensors(path)["w"].data<float>()[0]; }

/// What stands in the folder, sorted: "a", "b -> a".
std::vector<std::string> listing(const TemporaryFolder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    std::string name = entry.path().filename().string();
    if (entry.is_symlink()) name += " -> " + fs::read_symlink(entry.path()).string();
    names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("links stay, and what they lead to is written") {
  const TemporaryFolder folder;
  fs::create_directory(folder.file("runs"));
  save_safetensors(folder.file("runs/1"), numbers(1));
  fs::create_symlink("runs/1", folder.file("near"));
  fs::create_symlink("near", folder.file("far"));
  fs::create_symlink(folder.file("runs/1"), folder.file("absolute"));
  fs::create_directory_symlink("runs", folder.file("last"));
  const Names names = listing(folder);

  float next = 2;
  for (const char* link : {"near", "far", "absolute", "last/1"}) {
    INFO(link);
    save_safetensors(folder.file(link), numbers(next));
    CHECK(first_of(folder.file("runs/1")) == next++);
    CHECK(listing(folder) == names);
    CHECK(!fs::is_symlink(folder.file("runs/1")));
  }

  // What a link leads to need not be there yet; its folder has to.
  fs::create_symlink("runs/2", folder.file("new"));
  save_safetensors(folder.file("new"), numbers(9));
  CHECK(fs::is_symlink(folder.file("new")));
  CHECK(first_of(folder.file("runs/2")) == 9);
  fs::create_symlink("none/2", folder.file("astray"));
  CHECK_THROWS_WITH(save_safetensors(folder.file("astray"), numbers(1)),
                    EndsWith("astray: cannot open: No such file or directory"));
  fs::create_symlink("circle", folder.file("circle"));
  CHECK_THROWS_WITH(save_safetensors(folder.file("circle"), numbers(1)),
                    Contains("circle: cannot open"));
  CHECK_THROWS_WITH(save_safetensors(folder.file("last"), numbers(1)),
                    EndsWith("last: is a folder"));
  CHECK(fs::is_symlink(folder.file("circle")));
}

TEST_CASE("a file keeps its mode when another takes its place") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  const mode_t mask = ::umask(022);
  save_safetensors(path, numbers(1));
  CHECK(mode_of(path) == 0644);
  for (const mode_t mode : {0600u, 0640u, 0664u, 0444u, 0755u}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    save_safetensors(path, numbers(static_cast<float>(mode)));
    CHECK(mode_of(path) == mode);
    CHECK(first_of(path) == static_cast<float>(mode));
  }
  // Also through a link.
  fs::create_symlink("a", folder.file("link"));
  REQUIRE(::chmod(path.c_str(), 0620) == 0);
  save_safetensors(folder.file("link"), numbers(1));
  CHECK(mode_of(path) == 0620);
  ::umask(mask);

  // What a killed process has left is neither in the way nor written through.
  const std::string other = folder.write("other", "mine");
  fs::create_symlink("other", folder.file("a.part"));
  save_safetensors(path, numbers(5));
  CHECK(TemporaryFolder::read(other) == "mine");
  CHECK(listing(folder) == Names{"a", "link -> a", "other"});
}

TEST_CASE("a process that may replace an owner's file leaves it to its owner") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  save_safetensors(path, numbers(1));
  if (::geteuid() != 0 || ::chown(path.c_str(), 12345, 54321) != 0) return;  // only root may
  save_safetensors(path, numbers(2));
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK(status.st_uid == 12345);
  CHECK(status.st_gid == 54321);
}

TEST_CASE("a pipe is written to, and stays a pipe") {
  const TemporaryFolder folder;
  // More than a pipe holds at a time.
  const NamedTensors large{{"w", uniform(Key{1}, {300, 300})}};
  save_safetensors(folder.file("plain"), large);
  REQUIRE(::mkfifo(folder.file("pipe").c_str(), 0600) == 0);
  fs::create_symlink("pipe", folder.file("link"));
  for (const char* name : {"pipe", "link"}) {
    INFO(name);
    auto got = std::async(std::launch::async, TemporaryFolder::read, folder.file("pipe"));
    save_safetensors(folder.file(name), large);
    CHECK(got.get() == TemporaryFolder::read(folder.file("plain")));
    CHECK(fs::is_fifo(folder.file("pipe")));
  }
  CHECK(listing(folder) == Names{"link -> pipe", "pipe", "plain"});
  // Nobody writes to it: it is refused, not waited for.
  CHECK_THROWS_WITH(load_safetensors(folder.file("pipe")), EndsWith("pipe: is not a file"));
}

TEST_CASE("an open file without a name is written to") {
  const TemporaryFolder folder;
  save_safetensors(folder.file("plain"), numbers(4));
  const int id = ::open(folder.write("gone", std::string(1000, 'x')).c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(id >= 0);
  fs::remove(folder.file("gone"));
  const std::string path = "/proc/self/fd/" + std::to_string(id);
  if (fs::exists(path)) {
    save_safetensors(path, numbers(4));
    CHECK(TemporaryFolder::read(path) == TemporaryFolder::read(folder.file("plain")));
    CHECK(listing(folder) == Names{"plain"});
  }
  ::close(id);
}

TEST_CASE("a device is written to, and stays a device") {
  const TemporaryFolder folder;
  // A device of this folder's own, of the kind of /dev/full.
  const std::string full = folder.file("full");
  if (::mknod(full.c_str(), S_IFCHR | 0600, ::makedev(1, 7)) != 0) return;  // only root may
  const int id = ::open(full.c_str(), O_WRONLY | O_CLOEXEC);
  if (id < 0) return;  // a file system without devices
  ::close(id);
  CHECK_THROWS_WITH(save_safetensors(full, numbers(1)),
                    EndsWith("full: cannot write: No space left on device"));
  CHECK(fs::is_character_file(full));
  CHECK(listing(folder) == Names{"full"});
}
