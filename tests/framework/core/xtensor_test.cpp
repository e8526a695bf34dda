#include "tests/support/xtensor.hpp"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <rapt/xtensor.hpp>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "ops/autodiff/check_gradient.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "tests/support/catch.hpp"

using namespace rapt;
using Catch::Matchers::Contains;

namespace {

Tensor counting(const Shape& shape) {
  Tensor result(shape);
  float next = 0;
  for (float& value : result.data<float>()) value = next++;
  return result;
}

/// The transposed view of a matrix: the same memory.
Tensor transposed(const Tensor& t) {
  return {t.memory(), t.bytes(), t.dtype(), {t.shape()[1], t.shape()[0]}, {1, t.shape()[1]}};
}

using Values = std::vector<float>;

const Op swish{.name = "swish",
               .shape = [](ShapeContext& c) { return c.input(0); },
               .gradient =
                   [](GradientContext& c) {
                     const Var s = sigmoid(c.input(0));
                     c.input_grad(0) = c.output_grad() * (s + c.output() * (1 - s));
                   },
               .cpu = {.forward = xt_forward([](auto x, auto y) { y = x / (1 + xt::exp(-x)); })}};

/// As an operator for float alone may be written.
const Op float_swish{.name = "float_swish",
                     .shape = [](ShapeContext& c) { return c.input(0); },
                     .cpu = {.forward = [](const ForwardContext& c) {
                       auto x = xt_view(c.input(0));
                       xt_view(c.output()) = x / (1.f + xt::exp(-x));
                     }}};

std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / (name + "." + std::to_string(getpid()) + ".npy"))
      .string();
}

}  // namespace

TEST_CASE("a tensor's memory is an xtensor expression") {
  const Tensor t = counting({2, 3});
  auto x = xt_view(t);
  CHECK(x.shape(0) == 2);
  CHECK(x(1, 2) == 5);
  CHECK(xt::sum(x)() == 15);
  x = 2 * x + 1;
  CHECK(t.to_vector<float>() == Values{1, 3, 5, 7, 9, 11});
  x(0, 1) = -1;
  xt::view(x, 1) = xt::zeros<float>({3});
  CHECK(t.to_vector<float>() == Values{1, -1, 5, 0, 0, 0});
  xt_view(t) = xt_view(counting({3}));  // broadcasts
  CHECK(t.to_vector<float>() == Values{0, 1, 2, 0, 1, 2});
  xt_view(t) = xt_view(counting({2, 3}));
  CHECK(t.to_vector<float>() == Values{0, 1, 2, 3, 4, 5});
  CHECK_THROWS(xt_view(t) = xt_view(counting({2, 2})));
  CHECK_THROWS(xt_view(t) = xt_view(counting({4, 2, 3})));
  CHECK_THROWS_WITH(xt_view<double>(t), Contains("float32") && Contains("float64"));
  CHECK(xt_view(full({}, 7))() == 7);
  CHECK(xt_view(zeros({2, 0})).size() == 0);
}

TEST_CASE("strided arrays are read and written where they lie") {
  const Tensor t = counting({2, 3});
  auto x = xt_view(transposed(t));  // [3, 2]
  CHECK(x(2, 1) == 5);
  CHECK(xt_view(t)(1, 2) == 5);
  const Tensor sum = from_xtensor(x + xt_view(full({3, 1}, 10)));
  CHECK(sum.shape() == Shape{3, 2});
  CHECK(sum.to_vector<float>() == Values{10, 13, 11, 14, 12, 15});
  x = xt_view(counting({3, 2}));
  CHECK(t.to_vector<float>() == Values{0, 2, 4, 1, 3, 5});
  const Tensor row(t.memory(), t.bytes(), DType::float32, {4, 3}, {0, 1});  // repeated
  CHECK(xt::sum(xt_view(row))() == 4 * 6);
  // The middle column, with gaps between its elements.
  const Tensor column(t.memory(), t.data<float>().data() + 1, DType::float32, {2, 1}, {3, 1});
  CHECK(from_xtensor(xt_view(column) * 10.f).to_vector<float>() == Values{20, 30});
  xt_view(column) = xt::ones<float>({2, 1});
  CHECK(t.to_vector<float>() == Values{0, 1, 4, 1, 1, 5});
  const Tensor backwards(t.memory(), t.data<float>().data() + 5, DType::float32, {6}, {-1});
  CHECK_THROWS_WITH(xt_view(backwards), Contains("negative"));
}

TEST_CASE("a tensor is made from any expression") {
  CHECK(from_xtensor(xt::arange<float>(4) * 2.f).to_vector<float>() == Values{0, 2, 4, 6});
  CHECK(from_xtensor(xt::xarray<double>{{1, 2}, {3, 4}}).shape() == Shape{2, 2});
  CHECK(from_xtensor(xt::xarray<int32_t>{-1}).dtype() == DType::int32);
  const Tensor compared = from_xtensor(xt_view(counting({3})) > 1.f);
  CHECK(compared.dtype() == DType::boolean);
  CHECK(compared.to_vector<float>() == Values{0, 0, 1});
  CHECK_THROWS_AS(from_xtensor(xt::zeros<float>(std::vector<size_t>(9, 1))), Error);
}

TEST_CASE("operators with an xtensor body") {
  Tape tape;
  const Tensor x = tensor<float>({-3, 0, 1, 10});
  const Values want = record(swish, {x}).value().to_vector<float>();
  for (size_t i = 0; i < 4; ++i) {
    const double v = x.data<float>()[i];
    CHECK(want[i] == Approx(v / (1 + std::exp(-v))).epsilon(1e-6));
  }
  CHECK(record(float_swish, {x}).value().to_vector<float>() == want);
  check_gradient(swish, shapes({{3, 5}}));

  static const Op wrong{.name = "wrong",
                        .shape = [](ShapeContext& c) { return c.input(0); },
                        .cpu = {.forward = xt_forward([](auto a, auto b, auto y) { y = a + b; })}};
  CHECK_THROWS_WITH(record(wrong, {x}).value(), Contains("wrong") && Contains("number of arrays"));
  CHECK(record(wrong, {x, x}).value().to_vector<float>()[3] == 20);
  CHECK_THROWS_WITH(record(swish, {tensor<int32_t>({1})}).value(), Contains("not int32"));
  CHECK_THROWS_WITH(record(float_swish, {x.to(DType::float64)}).value(), Contains("float64"));
}

TEST_CASE(".npy files") {
  const std::string path = temporary("rapt_xtensor");
  const auto write = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  };
  for (const Tensor& t :
       {counting({2, 3}), full({}, 0.1, DType::float64), tensor<int32_t>({-5, 6}),
        tensor<bool>({true, false}), zeros({0, 4}), transposed(counting({2, 3}))}) {
    save_npy(path, t);
    const Tensor back = load_npy(path);
    CHECK(back.shape() == t.shape());
    CHECK(back.dtype() == t.dtype());
    CHECK(back.to_vector<double>() == t.to_vector<double>());
  }

  // What numpy.save writes for np.array([[1, 2], [3, 4]]) with 64-bit integers, in Fortran order.
  const auto numpy = [](const std::string& type, const std::string& shape, bool fortran) {
    std::string header = "{'descr': '" + type +
                         "', 'fortran_order': " + (fortran ? "True" : "False") +
                         ", 'shape': " + shape + ", }";
    header.resize(117, ' ');
    return std::string("\x93NUMPY\1\0\x76\0", 10) + header + "\n";
  };
  int64_t values[] = {1, 3, 2, 4};
  std::string data(reinterpret_cast<const char*>(values), sizeof values);
  write(numpy("<i8", "(2, 2)", true) + data);
  CHECK(load_npy(path).to_vector<int32_t>() == std::vector<int32_t>{1, 2, 3, 4});
  values[0] = int64_t{1} << 40;
  write(numpy("<i8", "(2, 2)", true) +
        std::string(reinterpret_cast<const char*>(values), sizeof values));
  CHECK_THROWS_WITH(load_npy(path), Contains("holds 1099511627776, which int32 cannot hold"));

  // The same numbers in other types and in either byte order.
  const auto stored = [&](const std::string& type, const std::string& bytes, DType dtype,
                          const std::vector<double>& want) {
    INFO(type);
    write(numpy(type, "(" + std::to_string(want.size()) + ",)", false) + bytes);
    const Tensor back = load_npy(path);
    CHECK(back.dtype() == dtype);
    CHECK(back.to_vector<double>() == want);
  };
  const auto raw = [](const char* bytes, size_t n) { return std::string(bytes, n); };
  stored("|u1", raw("\0\xff", 2), DType::int32, {0, 255});
  stored("|i1", raw("\x80\x7f", 2), DType::int32, {-128, 127});
  stored("<i2", raw("\0\x80\1\2", 4), DType::int32, {-32768, 513});
  stored(">i2", raw("\x80\0\1\2", 4), DType::int32, {-32768, 258});
  stored("<u2", raw("\xff\xff", 2), DType::int32, {65535});
  stored("<u4", raw("\1\0\0\0", 4), DType::int32, {1});
  stored(">i4", raw("\xff\xff\xff\xfe\0\0\1\0", 8), DType::int32, {-2, 256});
  stored(">i8", raw("\xff\xff\xff\xff\xff\xff\xff\xfe", 8), DType::int32, {-2});
  stored("<u8", raw("\3\0\0\0\0\0\0\0", 8), DType::int32, {3});
  stored("<f2", raw("\0\x3e\1\0\0\xc0", 6), DType::float32, {1.5, 0x1p-24, -2});
  stored(">f2", raw("\x3e\0", 2), DType::float32, {1.5});
  stored(">f4", raw("\xbf\xc0\0\0", 4), DType::float32, {-1.5});
  stored(">f8", raw("\x3f\xf8\0\0\0\0\0\0", 8), DType::float64, {1.5});
  write(numpy(">f4", "(2, 2)", true) + raw("\x3f\x80\0\0\x40\x40\0\0\x40\0\0\0\x40\x80\0\0", 16));
  CHECK(load_npy(path).to_vector<float>() == Values{1, 2, 3, 4});

  const auto refused = [&](const std::string& bytes) {
    write(bytes);
    INFO(bytes);
    CHECK_THROWS_AS(load_npy(path), Error);
  };
  refused("");
  refused("not an array");
  refused(numpy("<f4", "(2, 2)", false));
  refused(numpy("<f4", "(2, 2)", false) + std::string(15, '\0'));
  refused(numpy("<f4", "(2, 2)", false) + std::string(17, '\0'));
  refused(numpy("<f4", "(4611686018427387906, 2)", false) + std::string(16, '\0'));
  refused(numpy("<c8", "(2,)", false) + std::string(16, '\0'));
  refused(numpy(">f4", "(4,)", false) + std::string(15, '\0'));
  refused(numpy("<f2", "(4,)", false) + std::string(16, '\0'));
  refused(numpy("<u4", "(1,)", false) + std::string(4, '\xff'));
  for (const char* type :
       {"<f1", "<f3", "<i3", "<i9", "<b2", "<U4", "|S8", "<m8", "=f4", "f4", ""}) {
    refused(numpy(type, "(1,)", false) + std::string(8, '\0'));
  }
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(load_npy(path), Contains(path) && Contains("cannot be read"));
  CHECK_THROWS_AS(save_npy("/no/such/folder/x.npy", counting({2})), Error);
}
