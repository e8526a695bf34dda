// Text files that are replaced as a whole, and what is no regular file.
#include "tasks/data/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

std::ptrdiff_t files_in(const TemporaryFolder& folder) {
  const auto files = std::filesystem::directory_iterator(folder.path());
  return std::distance(begin(files), end(files));
}

}  // namespace

TEST_CASE("a file is replaced as a whole") {
  const TemporaryFolder folder;
  const std::string path = folder.file("picture.svg");
  write_file_atomically(path, "first");
  CHECK(TemporaryFolder::read(path) == "first");
  write_file_atomically(path, std::string(300'000, 'x'));
  CHECK(TemporaryFolder::read(path) == std::string(300'000, 'x'));
  CHECK(files_in(folder) == 1);  // nothing is left beside it
}

TEST_CASE("what a killed process has left does not block the next one") {
  const TemporaryFolder folder;
  const std::string path = folder.file("log.jsonl");
  folder.write("log.jsonl.part", "unfinished");
  write_file_atomically(path, "second");
  CHECK(TemporaryFolder::read(path) == "second");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("a file that cannot be written is an error that names it") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(write_file_atomically(folder.file("none/a"), "x"),
                    Contains("none/a: cannot open: No such file or directory"));
  std::filesystem::create_directory(folder.file("taken"));
  CHECK_THROWS_WITH(write_file_atomically(folder.file("taken"), "x"),
                    Contains("cannot write") && Contains("taken: is a folder"));
  CHECK(files_in(folder) == 1);
}

TEST_CASE("whether a file can be written is known before") {
  const TemporaryFolder folder;
  expect_writable(folder.file("new"));
  CHECK(files_in(folder) == 0);
  const std::string old = folder.write("old", "text");
  expect_writable(old);
  CHECK(TemporaryFolder::read(old) == "text");
  expect_writable("/dev/null");
  CHECK(std::filesystem::is_character_file("/dev/null"));
  CHECK_THROWS_WITH(expect_writable(folder.file("none/a")),
                    Contains("none/a: cannot open: No such file or directory"));
  CHECK_THROWS_WITH(expect_writable(folder.path().string()), Contains("is a folder"));
}

TEST_CASE("a link stays, and its target is replaced") {
  const TemporaryFolder folder;
  const std::string target = folder.write("target", "old"), link = folder.file("link");
  REQUIRE(::symlink("target", link.c_str()) == 0);
  write_file_atomically(link, "new");
  CHECK(std::filesystem::is_symlink(link));
  CHECK(TemporaryFolder::read(target) == "new");
}

TEST_CASE("a pipe and a device are written to") {
  const TemporaryFolder folder;
  const std::string pipe = folder.file("pipe");
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  write_file_atomically(pipe, "text");
  std::array<char, 8> read{};
  CHECK(::read(reader, read.data(), read.size()) == 4);
  CHECK(std::string_view(read.data()) == "text");
  ::close(reader);
  CHECK(std::filesystem::is_fifo(pipe));

  CHECK_THROWS_WITH(write_file_atomically("/dev/full", "x"), Contains("No space left on device"));
  CHECK(std::filesystem::is_character_file("/dev/full"));
}
