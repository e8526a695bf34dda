// Reads a file of saved arrays.
#include "framework/core/error.hpp"
#include "framework/files/checkpoint.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt;

namespace rapt::fuzz {

std::vector<std::string> seeds() {
  const TemporaryFolder folder;
  std::vector<std::string> all;
  const auto add = [&](const NamedTensors& tensors,
                       const std::map<std::string, std::string>& meta) {
    save_safetensors(folder.file("x"), tensors, meta);
    all.push_back(TemporaryFolder::read(folder.file("x")));
  };
  add({{"a", full({2, 3}, 1)}, {"b.c", full({4}, 2, DType::int32)}}, {{"key", "value"}});
  add({}, {});
  add({{"w", full({0, 7}, 1)}, {"f", full({}, 0, DType::boolean)}}, {});
  // The same arrays as other types of equal size.
  for (const char* type : {"BF16", "F16", "I64", "U8", "I16", "F8_E4M3"}) {
    std::string other = all.front();
    other.replace(other.find("F32"), 3, type);
    all.push_back(std::move(other));
  }
  all.push_back("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  all.push_back(std::string("PK\3\4") + std::string(40, '\0'));
  return all;
}

}  // namespace rapt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  try {
    const Checkpoint checkpoint = load_safetensors(file.set(fuzz::text_of(data, size)));
    std::size_t bytes = 0;
    for (const auto& [name, tensor] : checkpoint.tensors) {
      bytes += static_cast<std::size_t>(tensor.size() * size_of(tensor.dtype()));
    }
    fuzz::require(bytes <= 4 * size, "more data than the file can hold");
  } catch (const Error&) {
  }
  return 0;
}
