#include "framework/files/checkpoint.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "tests/support/catch.hpp"

using namespace rapt;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// A folder of this test's own.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "rapt_checkpoint_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  size_t files() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

 private:
  fs::path path_;
};

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A file with this header and that many bytes of data.
std::string file_of(const std::string& header, size_t data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data, '\1');
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         a.to_vector<double>() == b.to_vector<double>();
}

Parameter parameter(const std::string& name, const Tensor& value) {
  Parameter made(value);
  made.state()->name = name;
  return made;
}

NamedTensors examples() {
  return {{"mask", tensor<bool>({true, false, true})},
          {"weight", uniform(Key{1}, {3, 5}, -1, 1)},
          {"ids", tensor<int32_t>({-7, 1 << 30})},
          {"scale \"\\\n\xc3\xa9", full({}, 0.1, DType::float64)},
          {"empty", zeros({4, 0, 2})}};
}

}  // namespace

TEST_CASE("what is saved is read back") {
  const Folder folder;
  const std::string path = folder / "a.safetensors";
  save_safetensors(path, examples(), {{"step", "12"}, {"note", "\xc3\xa9\n"}});
  CHECK(folder.files() == 1);  // the unfinished file is gone
  const Checkpoint checkpoint = load_safetensors(path);
  REQUIRE(checkpoint.tensors.size() == 5);
  for (const auto& [name, tensor] : examples()) CHECK(same(checkpoint[name], tensor));
  CHECK(checkpoint.metadata ==
        std::map<std::string, std::string>{{"step", "12"}, {"note", "\xc3\xa9\n"}});
  CHECK_THROWS_WITH(checkpoint["bias"], Contains("bias"));

  // A strided view is saved as what it shows, and an old file is replaced.
  const Tensor matrix = tensor<float>({1, 2, 3, 4, 5, 6}).reshape({2, 3});
  save_safetensors(
      path, {{"t", Tensor(matrix.memory(), matrix.bytes(), DType::float32, {3, 2}, {1, 3})}});
  CHECK(load_safetensors(path)["t"].to_vector<float>() == std::vector<float>{1, 4, 2, 5, 3, 6});
  save_safetensors(path, {});
  CHECK(load_safetensors(path).tensors.empty());
}

TEST_CASE("the file is in the safetensors format, byte by byte") {
  const Folder folder;
  const std::string path = folder / "a.safetensors";
  save_safetensors(path, {{"b", tensor<bool>({true})}, {"w", tensor<float>({1, -2})}},
                   {{"k", "v"}});
  std::string header =
      R"({"__metadata__":{"k":"v"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"BOOL","shape":[1],"data_offsets":[8,9]}})";
  header.resize(184, ' ');  // 192 with the length: the data begin at a multiple of 64
  std::string want = file_of(header, 0);
  want += std::string("\0\0\x80\x3f\0\0\0\xc0\1", 9);
  CHECK(read(path) == want);
}

TEST_CASE("what cannot be saved leaves the old file as it was") {
  const Folder folder;
  const std::string path = folder / "a.safetensors";
  const Tensor one = tensor<float>({1});
  save_safetensors(path, {{"w", one}});
  const std::string before = read(path);
  CHECK_THROWS_WITH(save_safetensors(path, {{"w", one}, {"w", one}}),
                    Contains(path) && Contains("taken"));
  CHECK_THROWS_WITH(save_safetensors(path, {{"__metadata__", one}}), Contains("taken"));
  CHECK_THROWS_WITH(save_safetensors(path, {{"w\xff", one}}), Contains("UTF-8"));
  CHECK_THROWS_WITH(save_safetensors(path, {{"w", one}}, {{"k", "\xc3"}}), Contains("UTF-8"));
  CHECK_THROWS_WITH(save_safetensors(path, {{"w", Tensor()}}), Contains("w is an empty tensor"));
  CHECK(read(path) == before);
  CHECK(folder.files() == 1);
  CHECK_THROWS_WITH(save_safetensors(folder / "no/such/folder", {}), Contains("no/such/folder"));
  fs::create_directory(folder / "taken");
  CHECK_THROWS_AS(save_safetensors(folder / "taken", {}), Error);
  CHECK(folder.files() == 2);
}

TEST_CASE("hostile files are refused") {
  const Folder folder;
  const std::string path = folder / "bad";
  const auto refused = [&](const std::string& bytes, const std::string& why) {
    write(path, bytes);
    INFO(bytes.substr(0, 200));
    CHECK_THROWS_WITH(load_safetensors(path), Contains(path) && Contains(why));
    CHECK_THROWS_AS(load_safetensors(path), Error);
  };
  const std::string w = R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const auto entry = [](const std::string& type, const std::string& shape,
                        const std::string& offsets) {
    return R"({"w":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  write(path, file_of("{" + w + "}  ", 8));
  CHECK(load_safetensors(path)["w"].size() == 2);

  refused("\1\2\3", "too short");
  refused(std::string(8, '\0'), "begin with {");
  refused(std::string(16, '\xff'), "its header");
  refused(std::string("\1\0\0\0\0\0\0\0", 8), "its header");
  refused(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}", 10), "its header");
  refused(file_of(" {}", 0), "begin with {");
  refused(file_of("{", 0), "no JSON");
  refused(file_of("{}}", 0), "no JSON");
  refused(file_of("{\"\xff\":1}", 0), "no JSON");
  refused(file_of("{}", 1), "1 bytes of data");
  refused(file_of("{" + w + "}", 9), "9 bytes of data");
  refused(file_of("{" + w + "}", 7), "is truncated");
  refused(file_of("{" + w + "," + w + "}", 8), "w twice");
  refused(file_of(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "a twice");
  refused(file_of(R"({"__metadata__":{"a":1}})", 0), "number");
  refused(file_of(R"({"__metadata__":{"a":{}}})", 0), "object");
  refused(file_of(R"({"__metadata__":[]})", 0), "array");
  refused(file_of(R"({"__metadata__":{},"__metadata__":{}})", 0), "twice");
  refused(file_of(R"({"w":1})", 0), "number");
  refused(file_of(R"({"w":null})", 0), "null");
  refused(file_of(R"({"w":{}})", 0), "lacks");
  refused(file_of(R"({"w":{"dtype":"F32","dtype":"F32"}})", 0), "dtype");
  refused(file_of(R"({"w":{"shape":[1],"shape":[1]}})", 0), "shape");
  refused(file_of(R"({"w":{"more":true}})", 0), "boolean");
  refused(file_of(entry("F8_E5M2", "[8]", "[0,8]"), 8), "F8_E5M2");
  refused(file_of(entry("F32", "[2]", "[0]"), 8), "lacks");
  refused(file_of(entry("F32", "[2]", "[0,8,8]"), 8), "too many");
  refused(file_of(entry("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8), "too many");
  refused(file_of(entry("F32", "[[2]]", "[0,8]"), 8), "array");
  refused(file_of(entry("F32", "[3]", "[0,8]"), 8), "has 8 bytes");
  refused(file_of(entry("F32", "[-2]", "[0,8]"), 8), "negative");
  refused(file_of(entry("F32", "[2]", "[-8,0]"), 8), "negative");
  refused(file_of(entry("F32", "[2.0]", "[0,8]"), 8), "fraction");
  refused(file_of(entry("F32", "[2]", "[8,0]"), 8), "w lies at");
  refused(file_of(entry("F32", "[2]", "[0,16]"), 8), "has 16 bytes");
  refused(file_of(entry("F32", "[2]", "[4,12]"), 12), "w lies at");
  // Products that wrap around to 8 bytes, to 0, or overflow although there are no elements.
  refused(file_of(entry("F32", "[4611686018427387906]", "[0,8]"), 8), "has 8 bytes");
  refused(file_of(entry("F32", "[4294967296,4294967296]", "[0,0]"), 0), "has 0 bytes");
  refused(file_of(entry("F32", "[4294967296,4294967296,0]", "[0,0]"), 0), "has 0 bytes");
  refused(file_of(entry("F32", "[9223372036854775808]", "[0,8]"), 8), "too large");
  refused(file_of(entry("F32", "[99999999999999999999999]", "[0,8]"), 8), "fraction");
  refused(file_of(entry("I32", "[1000000000000]", "[0,4000000000000]"), 8), "is truncated");
  // Two tensors in one place.
  refused(file_of("{" + w + R"(,"v":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12),
          "lies at");
  std::string boolean = file_of(entry("BOOL", "[2]", "[0,2]"), 2);
  boolean.back() = '\2';
  refused(boolean, "booleans");
  // Nested so deeply that a recursive reader would run out of stack.
  refused(file_of("{\"w\":" + std::string(1000000, '['), 0), "array");
  refused(file_of(std::string(1, '{') + "\"w\":{\"shape\":" + std::string(1000000, '{'), 0),
          "object");

  CHECK_THROWS_WITH(load_safetensors(folder / "none"), Contains("none") && Contains("open"));
  CHECK_THROWS_WITH(load_safetensors(folder / ""), Contains("not a file"));
}

TEST_CASE("a damaged file gives an error or arrays of the file's size") {
  const Folder folder;
  const std::string path = folder / "a.safetensors";
  save_safetensors(path, examples(), {{"step", "12"}});
  const std::string good = read(path);
  int refused = 0;
  const auto look = [&](const std::string& bytes) {
    write(path, bytes);
    try {
      const Checkpoint checkpoint = load_safetensors(path);
      size_t total = 0;
      for (const auto& [name, tensor] : checkpoint.tensors) {
        total += static_cast<size_t>(tensor.size() * size_of(tensor.dtype()));
      }
      REQUIRE(total < bytes.size());
    } catch (const Error&) {
      ++refused;
    }
  };
  for (size_t n = 0; n < good.size(); ++n) look(good.substr(0, n));
  CHECK(refused == static_cast<int>(good.size()));  // each truncation is noticed

  const Key key{5};
  for (uint64_t i = 0; i < 4000; ++i) {
    const Key draw = key.fold(i);
    std::string bytes = good;
    for (uint64_t flip = 0; flip <= i % 3; ++flip) {
      const auto at = static_cast<size_t>(draw.below(static_cast<int64_t>(good.size()), 2 * flip));
      bytes[at] = static_cast<char>(draw.below(256, 2 * flip + 1));
    }
    look(bytes);
  }
  CHECK(refused > static_cast<int>(good.size()) + 2000);
}

TEST_CASE("parameters are saved and loaded by name") {
  const Folder folder;
  const std::string path = folder / "model.safetensors";
  const std::vector<Parameter> model{parameter("a/weight", uniform(Key{1}, {3, 4})),
                                     parameter("a/bias", uniform(Key{2}, {4}))};
  save_parameters(path, model);
  std::vector<Parameter> other{parameter("a/bias", zeros({4})),
                               parameter("a/weight", zeros({3, 4}))};
  const uint64_t version = other[0].state()->version;
  load_parameters(path, other);
  CHECK(same(other[0].value(), model[1].value()));
  CHECK(same(other[1].value(), model[0].value()));
  CHECK(other[0].state()->version != version);

  // All that does not fit is named, and nothing is set.
  std::vector<Parameter> wrong{parameter("a/bias", zeros({4})),
                               parameter("a/weight", zeros({4, 3})),
                               parameter("b/weight", zeros({1}))};
  CHECK_THROWS_WITH(load_parameters(path, wrong),
                    Contains(path) &&
                        Contains("a/weight is float32 [4, 3], saved was float32 [3, 4]") &&
                        Contains("missing: b/weight"));
  CHECK(wrong[0].value().to_vector<float>() == std::vector<float>(4, 0));
  CHECK_THROWS_WITH(load_parameters(path, {wrong[0]}), Contains("not asked for: a/weight"));
  CHECK_THROWS_WITH(
      load_parameters(path, {parameter("a/bias", zeros({4}, DType::float64)), other[1]}),
      Contains("a/bias is float64 [4], saved was float32 [4]"));

  // From a file that holds more, only what is asked for.
  const Checkpoint checkpoint = load_safetensors(path);
  set_parameters({wrong[0]}, checkpoint.tensors);
  CHECK(same(wrong[0].value(), model[1].value()));
  CHECK_THROWS_WITH(set_parameters(wrong, checkpoint.tensors), Contains("b/weight"));

  std::vector<Parameter> many;
  for (int i = 0; i < 30; ++i) many.push_back(parameter("p" + std::to_string(i), zeros({1})));
  CHECK_THROWS_WITH(set_parameters(many, checkpoint.tensors), Contains("and 10 more"));
}
