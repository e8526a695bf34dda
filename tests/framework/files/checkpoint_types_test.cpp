// Element types of safetensors files that are converted when they are read.
#include <cmath>
#include <cstring>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/files/checkpoint.hpp"
#include "models/torch_names.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

namespace {

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

struct Array {
  std::string name, type, shape, data;
};

/// A safetensors file, put together by hand.
std::string file_of(const std::vector<Array>& arrays) {
  std::string header, data;
  for (const Array& array : arrays) {
    header += (header.empty() ? "{\"" : ",\"") + array.name + R"(":{"dtype":")" + array.type +
              R"(","shape":)" + array.shape + R"(,"data_offsets":[)" + std::to_string(data.size()) +
              "," + std::to_string(data.size() + array.data.size()) + "]}";
    data += array.data;
  }
  header += '}';
  return bytes_of<uint64_t>({header.size()}) + header + data;
}

/// Reads an array of that type, which follows three bytes so that nothing is aligned.
template <class T>
Tensor read_as(const std::string& type, const std::vector<T>& values, const std::string& shape) {
  const TemporaryFolder folder;
  const std::string path = folder.write(
      "a", file_of({{"first", "U8", "[3]", "abc"}, {"w", type, shape, bytes_of(values)}}));
  const Checkpoint read = load_safetensors(path);
  CHECK(read["first"].to_vector<int32_t>() == std::vector<int32_t>{'a', 'b', 'c'});
  return read["w"];
}

std::vector<uint16_t> all_patterns() {
  std::vector<uint16_t> all;
  for (int bits = 0; bits < 65536; ++bits) all.push_back(static_cast<uint16_t>(bits));
  return all;
}

/// What a float format says that bits stand for, in long double: a sign, `exponent_bits`, the rest.
long double meaning(uint16_t bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits / (1 << fraction_bits) % (1 << exponent_bits);
  const int fraction = bits % (1 << fraction_bits);
  long double size = 0;
  if (exponent == (1 << exponent_bits) - 1) {
    size = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    size = std::ldexp(static_cast<long double>(fraction), 1 - bias - fraction_bits);
  } else {
    size = std::ldexp(static_cast<long double>(fraction + (1 << fraction_bits)),
                      exponent - bias - fraction_bits);
  }
  return bits >= 32768 ? -size : size;
}

}  // namespace

TEST_CASE("halves of both sorts become float32 exactly, all 65,536 of them") {
  const auto [type, exponent_bits] = GENERATE(table<std::string, int>({{"F16", 5}, {"BF16", 8}}));
  const std::vector<uint16_t> all = all_patterns();
  const Tensor read = read_as(type, all, "[256,256]");
  REQUIRE(read.dtype() == DType::float32);
  REQUIRE(read.shape() == Shape{256, 256});
  int wrong = 0, subnormal = 0, nans = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const float got = read.data<float>()[i];
    const long double want = meaning(all[i], exponent_bits);
    if (std::isnan(want)) {
      ++nans;
      wrong += !std::isnan(got) || std::signbit(got) != (all[i] >= 32768);
    } else {
      subnormal += std::fpclassify(got) == FP_SUBNORMAL;
      wrong += static_cast<long double>(got) != want || std::signbit(got) != (all[i] >= 32768);
    }
  }
  CHECK(wrong == 0);
  // What there is of each sort: the loop above has seen it.
  CHECK(nans == 2 * ((1 << (15 - exponent_bits)) - 1));
  CHECK(subnormal == (type == "BF16" ? 2 * 127 : 0));  // float32 has the range of bfloat16
}

TEST_CASE("integers become int32") {
  using limits = std::numeric_limits<int32_t>;
  const std::vector<int32_t> ends{limits::min(), -1, 0, 1, limits::max()};
  const Tensor wide = read_as<int64_t>("I64", {limits::min(), -1, 0, 1, limits::max()}, "[5]");
  REQUIRE(wide.dtype() == DType::int32);
  CHECK(wide.to_vector<int32_t>() == ends);
  CHECK(read_as<int32_t>("I32", ends, "[5]").to_vector<int32_t>() == ends);
  CHECK(read_as<int16_t>("I16", {-32768, -1, 32767}, "[3]").to_vector<int32_t>() ==
        std::vector<int32_t>{-32768, -1, 32767});
  CHECK(read_as<int8_t>("I8", {-128, -1, 127}, "[3]").to_vector<int32_t>() ==
        std::vector<int32_t>{-128, -1, 127});
  CHECK(read_as<uint64_t>("U64", {0, 2147483647}, "[1,2]").to_vector<int32_t>() ==
        std::vector<int32_t>{0, limits::max()});
  CHECK(read_as<uint32_t>("U32", {0, 2147483647}, "[2]").to_vector<int32_t>() ==
        std::vector<int32_t>{0, limits::max()});
  CHECK(read_as<uint16_t>("U16", {0, 65535}, "[2]").to_vector<int32_t>() ==
        std::vector<int32_t>{0, 65535});
  CHECK(read_as<uint8_t>("U8", {0, 255}, "[2]").to_vector<int32_t>() ==
        std::vector<int32_t>{0, 255});
  CHECK(read_as<int64_t>("I64", {7}, "[]").item() == 7);
  CHECK(read_as<int64_t>("I64", {}, "[4,0]").shape() == Shape{4, 0});
}

TEST_CASE("an integer that does not fit is named with its place") {
  const auto refused = [](const auto& values, const char* type, const char* shape,
                          const char* message) {
    CHECK_THROWS_WITH(read_as(type, values, shape), EndsWith(message));
  };
  refused(std::vector<int64_t>{1, 2147483648, 3, 4}, "I64", "[2,2]",
          ": w holds 2147483648 at [0, 1], which int32 cannot hold");
  refused(std::vector<int64_t>{-2147483649}, "I64", "[]",
          ": w holds -2147483649 at [], which int32 cannot hold");
  refused(std::vector<uint32_t>{0, 4294967295}, "U32", "[2]",
          ": w holds 4294967295 at [1], which int32 cannot hold");
  refused(std::vector<uint64_t>{18446744073709551615u}, "U64", "[1]",
          ": w holds 18446744073709551615 at [0], which int32 cannot hold");
  // Far behind what is read at once.
  std::vector<int64_t> many(3 * 40000, 5);
  many[2 * 40000 + 123] = int64_t{1} << 40;
  refused(many, "I64", "[3,40000]", ": w holds 1099511627776 at [2, 123], which int32 cannot hold");
  many[2 * 40000 + 123] = -6;
  const Tensor read = read_as("I64", many, "[3,40000]");
  const std::vector<int32_t> want(many.begin(), many.end());
  CHECK(read.to_vector<int32_t>() == want);
}

TEST_CASE("types that are not known are refused by their names") {
  for (const char* type : {"F8_E4M3", "F8_E5M2", "F4", "C64", "bf16", "F32 ", ""}) {
    INFO(type);
    CHECK_THROWS_WITH(
        read_as<uint8_t>(type, {1}, "[1]"),
        Contains(std::string(": w holds ") + type + "; known are F64, F32, F16, BF16,"));
  }
  // The bytes of converted types are counted as the file has them.
  CHECK_THROWS_WITH(read_as<uint16_t>("BF16", {1, 2, 3}, "[2]"),
                    Contains("w is BF16 [2], but has 6 bytes"));
  CHECK_THROWS_WITH(read_as<float>("I64", {1, 2}, "[2]"),
                    Contains("w is I64 [2], but has 8 bytes"));
}

TEST_CASE("a state of PyTorch's in bfloat16 fills float32 parameters") {
  const TemporaryFolder folder;
  // 1.5, -2 and 2^-126 / 128, the smallest of all.
  const std::vector<uint16_t> weight{0x3fc0, 0xc000, 0x0001}, bias{0x7f80};
  const std::string path = folder.write(
      "state", file_of({{"encoder.layers.0.linear1.weight", "BF16", "[1,3]", bytes_of(weight)},
                        {"encoder.layers.0.linear1.bias", "BF16", "[1]", bytes_of(bias)},
                        {"position_ids", "I64", "[2]", bytes_of<int64_t>({0, 1})}}));
  const auto parameter = [](const char* name, const Shape& shape) {
    Parameter made(zeros(shape));
    made.state()->name = name;
    return made;
  };
  const std::vector<Parameter> own{parameter("encoder/0/feed_forward/up/weight", {1, 3}),
                                   parameter("encoder/0/feed_forward/up/bias", {1})};
  set_parameters(own, from_torch(load_safetensors(path).tensors));
  CHECK(own[0].value().to_vector<float>() == std::vector<float>{1.5f, -2, 0x1p-133f});
  CHECK(own[1].value().to_vector<float>() == std::vector<float>{INFINITY});

  const std::string same_names = folder.write(
      "own", file_of({{"encoder/0/feed_forward/up/weight", "F16", "[1,3]", bytes_of(weight)},
                      {"encoder/0/feed_forward/up/bias", "F16", "[1]", bytes_of(bias)}}));
  load_parameters(same_names, own);
  CHECK(own[0].value().to_vector<float>() == std::vector<float>{1.9375f, -2, 0x1p-24f});
}
