// What a checkpoint's path may name: links, pipes, devices, files of other kinds, cut ones.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <future>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/files/checkpoint.hpp"
#include "framework/files/files.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

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

TEST_CASE("files of other kinds are called by their names") {
  const TemporaryFolder folder;
  const auto refused = [&](std::string_view bytes, const std::string& why) {
    const std::string path = folder.write("other", bytes);
    INFO(why);
    CHECK_THROWS_WITH(load_safetensors(path), Contains(path + ": " + why));
    CHECK_THROWS_AS(load_safetensors(path), Error);
  };
  const auto zip = [](std::string_view name) {
    std::string bytes("PK\3\4\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 26);
    bytes += {static_cast<char>(name.size()), '\0', '\0', '\0'};
    return bytes + std::string(name) + std::string(100, '\xff');
  };
  refused("", "is empty");
  refused("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n",
          "is a Git LFS pointer, not the file itself: run git lfs pull");
  const std::string torch = "load it in Python and save it with safetensors.torch.save_file";
  refused(zip("archive/data.pkl"), "is a PyTorch checkpoint: " + torch);
  refused(zip("model.bin"), "is a zip archive; if it is a PyTorch checkpoint, " + torch);
  refused(zip("w.npy"), "is a NumPy archive");
  refused("PK\3\4", "is a zip archive");
  refused(std::string_view("\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.", 15),
          "is a PyTorch checkpoint, or another pickle: " + torch);
  refused(std::string_view("\x80\x05\x95\x1a\0\0\0\0\0\0\0", 11),
          "is a PyTorch checkpoint, or another");
  refused(std::string_view("\x89HDF\r\n\x1a\n\0\0\0\0", 12), "is an HDF5 file");
  refused(std::string_view("\x1f\x8b\x08\0\0\0\0\0\2\3abc", 13), "is compressed with gzip");
  refused(std::string_view("\xfd\x37zXZ\0\0\1", 8), "is compressed with xz");
  refused("\x28\xb5\x2f\xfd\4", "is compressed with zstd");
  refused(std::string_view("\x93NUMPY\1\0v\0{'descr'", 18),
          "is a NumPy array: read it with load_npy()");
  refused(std::string_view("GGUF\3\0\0\0", 8), "is a GGUF file");
  refused("once upon a time\nthere was a model",
          "is a text file, not a safetensors file; it begins with \"once upon a time\"");
  refused("tiny", "is a text file, not a safetensors file; it begins with \"tiny\"");
  refused("les voil\xc3\xa0",
          "is a text file, not a safetensors file; it begins with \"les voil\"");
  refused("<!DOCTYPE html>\n",
          "is a text file, not a safetensors file; it begins with \"<!DOCTYPE html>\"");
  refused("{\"w\": {\"dtype\": \"F32\"}}", "is a text file");
  refused("{\"metadata\": {}, \"weight_map\": {\"w\": \"model-1-of-2.safetensors\"}}",
          "is an index of several safetensors files");
  refused(std::string("\x80\2\0\0\0\0\0\0 ", 9) + std::string(639, '{'),
          "the header does not begin");
  refused(std::string(64, '\xee'),
          "is no safetensors file: by its first 8 bytes, its header has 172");
}

TEST_CASE("a safetensors file that is as long as a magic number is no other kind") {
  // The length of this header begins as a gzip file does, and that one as a zip archive.
  const TemporaryFolder folder;
  for (const size_t length : {0x00088b1fu, 0x04034b50u}) {
    std::string bytes(8, '\0');
    for (size_t i = 0; i < 4; ++i) bytes[i] = static_cast<char>(length >> (8 * i) & 255);
    std::string header = "{}";
    header.resize(length, ' ');
    CHECK(load_safetensors(folder.write("a", bytes + header)).tensors.empty());
  }
}

TEST_CASE("a truncated file is called so, at each length") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  save_safetensors(path, {{"v", tensor<float>({1, 2})}, {"w", tensor<float>({1, 2, 3})}});
  const std::string good = TemporaryFolder::read(path);
  const size_t data = good.size() - 20;
  for (size_t n = 9; n < good.size(); ++n) {
    INFO(n);
    folder.write("a", good.substr(0, n));
    CHECK_THROWS_WITH(load_safetensors(path), Contains(path + ": is truncated: "));
  }
  folder.write("a", good.substr(0, data + 9));
  CHECK_THROWS_WITH(
      load_safetensors(path),
      EndsWith("its arrays take 20 bytes, of which 9 are there; w is the first that is not whole"));
  folder.write("a", good.substr(0, data - 1));
  CHECK_THROWS_WITH(load_safetensors(path),
                    EndsWith("it has " + std::to_string(data - 1) + " bytes, its header alone " +
                             std::to_string(data - 8)));
}

TEST_CASE("nothing hides behind the end of the header") {
  const TemporaryFolder folder;
  const auto file_of = [](const std::string& header) {
    std::string bytes(8, '\0');
    bytes[0] = static_cast<char>(header.size());
    return bytes + header;
  };
  const auto read = [&](const std::string& header) {
    return load_safetensors(folder.write("a", file_of(header)));
  };
  const std::string metadata = R"({"__metadata__":{"a":"1"}})", zero(1, '\0');
  CHECK(read(metadata).metadata.size() == 1);
  CHECK(read(metadata + "   ").metadata.size() == 1);
  CHECK_THROWS_WITH(read(metadata + zero), Contains("has a zero at byte 26"));
  CHECK_THROWS_WITH(read(metadata + zero + R"({"b":"anything)"), Contains("has a zero at byte 26"));
  CHECK_THROWS_WITH(read(metadata + "  " + zero + " "), Contains("has a zero at byte 28"));
  CHECK_THROWS_WITH(read("{" + zero + "}"), Contains("has a zero at byte 1"));
  CHECK_THROWS_WITH(read(R"({"__metadata__":{"a":")" + zero + "\"}}"),
                    Contains("has a zero at byte"));
  for (const char* more : {"\n", " \t", "\r ", " \n "}) {
    CHECK_THROWS_WITH(read(metadata + more), Contains("more than blanks"));
  }
  for (const char* more : {"}", "{}", "x", "//", "/**/", ",", "\xef\xbb\xbf", "\v", "\x7f"}) {
    CHECK_THROWS_WITH(read(metadata + more), Contains("no JSON"));
  }
  // A zero that is spelled out is a text's own.
  CHECK(read(R"({"__metadata__":{"a":"\u0000"}})").metadata.at("a") == zero);
}
