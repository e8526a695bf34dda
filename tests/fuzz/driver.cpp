// A plain loop for the fuzz harnesses, where libFuzzer is not at hand: damages good inputs at
// random.
//
//   text_fuzz [-runs=N] [-first=N] [-keep=FILE] [FILE...]
//
// Input n depends on n alone, so a finding is repeated by -first=n -runs=1. -keep writes each input
// to a file before it is run. Files are run as they are.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>

#include "framework/core/random.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using rapt::Key;

std::uint64_t current = 0;

/// Random numbers of one input.
class Draw {
 public:
  explicit Draw(std::uint64_t number) : key_(Key{number, 77}) {}
  std::size_t below(std::size_t n) {
    return n == 0 ? 0
                  : static_cast<std::size_t>(key_.below(static_cast<std::int64_t>(n), drawn_++));
  }

 private:
  Key key_;
  std::uint64_t drawn_ = 0;
};

void damage(std::string& bytes, const std::vector<std::string>& seeds, Draw& draw) {
  constexpr std::uint32_t numbers[] = {0,          1,          2,          0x7F,       0xFF,
                                       0x100,      0x7FFF,     0xFFFF,     0x7FFFF000, 0x7FFFFFFF,
                                       0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 0x40000000};
  constexpr std::string_view parts[] = {"\n",
                                        "\r",
                                        "\t",
                                        " ",
                                        "\"",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        ":",
                                        ",",
                                        "-1",
                                        "0",
                                        "9999999999",
                                        "1e9",
                                        "\\u0000",
                                        "\xEF\xBB\xBF",
                                        "\xC3\xA9",
                                        "\xE3\x80\x80",
                                        "\xFF",
                                        "#",
                                        "-",
                                        "/",
                                        "|"};
  const std::size_t at = draw.below(bytes.size() + 1);
  const std::size_t length = 1 + draw.below(draw.below(4) == 0 ? 200 : 8);
  switch (draw.below(9)) {
    case 0:
      if (at < bytes.size()) bytes[at] = static_cast<char>(draw.below(256));
      break;
    case 1:
      if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << draw.below(8)));
      break;
    case 2:
      bytes.erase(at, length);
      break;
    case 3:
      bytes.insert(at, bytes.substr(draw.below(bytes.size() + 1), length));
      break;
    case 4: {  // a number in either order of bytes
      const std::uint32_t value = numbers[draw.below(std::size(numbers))];
      const std::size_t size = std::size_t{1} << draw.below(3);
      const bool big = draw.below(2) == 0;
      for (std::size_t k = 0; k < size && at + k < bytes.size(); ++k) {
        bytes[at + k] = static_cast<char>(value >> (8 * (big ? size - 1 - k : k)));
      }
      break;
    }
    case 5:
      bytes.insert(at, parts[draw.below(std::size(parts))]);
      break;
    case 6:
      if (draw.below(4) == 0) bytes.resize(at);
      break;
    case 7: {  // the beginning of one and the end of another
      const std::string& other = seeds[draw.below(seeds.size())];
      if (draw.below(4) == 0)
        bytes = bytes.substr(0, at) + other.substr(draw.below(other.size() + 1));
      break;
    }
    default:
      for (std::size_t k = at; k < std::min(at + length, bytes.size()); ++k) {
        bytes[k] = static_cast<char>(draw.below(256));
      }
  }
}

void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

bool option(std::string_view text, std::string_view name, std::string& value) {
  if (!text.starts_with(name)) return false;
  value = text.substr(name.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 1000, first = 0;
  std::string keep, value;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    if (option(argv[i], "-runs=", value)) {
      runs = std::strtoull(value.c_str(), nullptr, 10);
    } else if (option(argv[i], "-first=", value)) {
      first = std::strtoull(value.c_str(), nullptr, 10);
    } else if (!option(argv[i], "-keep=", keep)) {
      files.emplace_back(argv[i]);
    }
  }
  std::set_terminate([] {
    std::fprintf(stderr, "fuzz: input %llu\n", static_cast<unsigned long long>(current));
    try {
      if (std::current_exception()) std::rethrow_exception(std::current_exception());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "fuzz: %s\n", error.what());
    }
    std::abort();
  });
  for (const std::string& file : files) {
    std::ifstream in(file, std::ios::binary);
    run({std::istreambuf_iterator<char>(in), {}});
  }
  if (!files.empty()) return 0;
  const std::vector<std::string> seeds = rapt::fuzz::seeds();
  for (const std::string& seed : seeds) run(seed);
  for (std::uint64_t n = first; n < first + runs; ++n) {
    current = n;
    Draw draw(n);
    std::string bytes = seeds[draw.below(seeds.size())];
    for (std::size_t k = 1 + draw.below(6); k > 0; --k) damage(bytes, seeds, draw);
    if (!keep.empty()) std::ofstream(keep, std::ios::binary) << bytes;
    run(bytes);
    if ((n + 1) % 100'000 == 0) std::fprintf(stderr, "%llu inputs\n", 1ull + n);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%llu inputs without a finding, at most %ld MB of memory\n",
              static_cast<unsigned long long>(runs), usage.ru_maxrss / 1024);
  return 0;
}
