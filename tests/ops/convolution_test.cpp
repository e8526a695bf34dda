// Convolution and pooling: errors, ties and NaN, empty batches, layers. Values and gradients: the
// operator table.
#include "models/layers/convolution.hpp"

#include <cmath>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/convolution/pooling.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

const Key key{41};

std::vector<double> values(const Var& var) { return var.value().to_vector<double>(); }

}  // namespace

TEST_CASE("convolution refuses what does not fit, and says what was expected") {
  const Tape tape;
  const Tensor x = zeros({2, 4, 6, 7});
  CHECK_THROWS_WITH(conv2d(zeros({4, 6, 7}), zeros({3, 4, 3, 3})),
                    Contains("conv2d: expected x [B, C, H, W]") &&
                        Contains("got [4, 6, 7] and [3, 4, 3, 3]") &&
                        Contains("convolution_test.cpp"));
  CHECK_THROWS_WITH(conv1d(zeros({2, 4, 6}), zeros({3, 4, 3, 3})),
                    Contains("conv1d: expected x [B, C, T] and weight [O, C / groups, K]"));
  CHECK_THROWS_WITH(conv2d(x, zeros({3, 5, 3, 3})),
                    Contains("[2, 4, 6, 7] has 4 channels in 1 groups") && Contains("should be 4"));
  CHECK_THROWS_WITH(conv2d(x, zeros({4, 4, 3, 3}), {.groups = 2}), Contains("should be 2"));
  CHECK_THROWS_WITH(conv2d(x, zeros({3, 2, 3, 3}), {.groups = 2}),
                    Contains("2 groups do not divide both the 4 channels") && Contains("the 3"));
  CHECK_THROWS_WITH(conv2d(x, zeros({3, 4, 3, 3}), {.groups = 0}), Contains("1 group, got 0"));
  CHECK_THROWS_WITH(conv2d(x, zeros({3, 4, 9, 3}), {.padding = {1, 0}}),
                    Contains("[3, 4, 9, 3] reaches over 9 elements") && Contains("height 6") &&
                        Contains("padding of 1"));
  CHECK_THROWS_WITH(conv1d(zeros({2, 4, 6}), zeros({3, 4, 4}), {.dilation = 2}),
                    Contains("reaches over 7 elements") && Contains("length 6"));
  CHECK_THROWS_WITH(conv2d(x, zeros({3, 4, 3, 3}), zeros({4})),
                    Contains("bias [3]") && Contains("got [4]"));
  CHECK_THROWS_WITH(conv2d(x, zeros({3, 4, 3, 3}, DType::float64)), Contains("float64"));
  CHECK_THROWS_WITH(conv2d(x, zeros({3, 4, 0, 3})), Contains("elements"));
  CHECK_THROWS_WITH(conv2d(x, zeros({3, 4, 3, 3}), {.stride = 0}), Contains("stride 0"));
  CHECK_THROWS_WITH(conv2d(x, zeros({3, 4, 3, 3}), {.padding = -1}), Contains("padding -1"));
  CHECK_THROWS_WITH(conv1d(zeros({2, 4, 6}), zeros({3, 4, 3}), {.dilation = 0}),
                    Contains("dilation 0"));
}

TEST_CASE("pooling refuses what does not fit") {
  const Tape tape;
  CHECK_THROWS_WITH(max_pool2d(zeros({4}), {.kernel = 2}),
                    Contains("max_pool2d: expected x [.., H, W], got [4]"));
  CHECK_THROWS_WITH(avg_pool1d(zeros({2, 4}), {.kernel = 5}),
                    Contains("kernel of 5") && Contains("[2, 4]"));
  CHECK_THROWS_WITH(max_pool1d(zeros({2, 4}), {.kernel = 2, .padding = 2}),
                    Contains("half the kernel, got 2"));
  CHECK_THROWS_WITH(max_pool1d(zeros({2, 4}), {.kernel = 0}), Contains("at least 1, got 0"));
  CHECK_THROWS_WITH(max_pool1d(zeros({2, 0}), {.kernel = 2, .padding = 1}), Contains("[2, 0]"));
  CHECK_THROWS_WITH(avg_pool1d(zeros({2, 4}, DType::int32), {.kernel = 2}), Contains("int32"));
}

TEST_CASE("of elements that are equally large the first gets the gradient") {
  Tape tape;
  const Var x = as_var(tensor(std::vector<float>{1, 3, 3, 0, 3, 3, 2, 0, 0, 0, 0, 0}, {3, 4}));
  const Var y = max_pool2d(x, {.kernel = {2, 4}, .stride = 1});
  const Var gradient = grad(sum(y * tensor(std::vector<float>{5, 7}, {2, 1})), {x})[0];
  CHECK(values(y) == std::vector<double>{3, 3});
  CHECK(values(gradient) == std::vector<double>{0, 5, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("a window with a NaN has no largest element, one of minus infinities has") {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const auto low = -std::numeric_limits<float>::infinity();
  const Tape tape;
  const Tensor x = tensor(std::vector<float>{1, nan, 2, nan, 3, 4, low, low}, {8});
  Executor executor({.guard = false});
  const Executor::Use use(executor);
  const std::vector<double> y = values(max_pool1d(x, {.kernel = 2}));
  CHECK(std::isnan(y[0]));
  CHECK(std::isnan(y[1]));
  CHECK(y[2] == 4);
  CHECK(y[3] == low);
}

TEST_CASE("empty batches give empty results, and a weight's gradient of zeros") {
  Tape tape;
  const Var x = as_var(zeros({0, 3, 5, 5})), w = as_var(normal(key, {4, 3, 3, 3}));
  const Var y = conv2d(x, w, zeros({4}), {.stride = 2});
  CHECK(y.shape() == Shape{0, 4, 2, 2});
  const std::vector<Var> g = grad(sum(y), {x, w});
  CHECK(g[0].value().size() == 0);
  CHECK(values(g[1]) == std::vector<double>(4 * 27, 0));
  CHECK(values(max_pool2d(x, {.kernel = 2})).empty());
}

TEST_CASE("convolution layers start as PyTorch's, and name their parameters") {
  const Conv2d conv(6, 40, {3, 5}, key, {.stride = 2, .padding = {1, 2}, .groups = 2});
  CHECK(conv.weight.shape() == Shape{40, 3, 3, 5});
  CHECK(conv.bias.shape() == Shape{40});
  double most = 0, sum_of_squares = 0;
  const std::vector<double> w = conv.weight.value().to_vector<double>();
  for (const double v : w) {
    most = std::max(most, std::abs(v));
    sum_of_squares += v * v;
  }
  const double bound = 1 / std::sqrt(45.0);
  CHECK(most <= bound);
  CHECK(most > 0.99 * bound);
  CHECK(sum_of_squares / static_cast<double>(w.size()) == Approx(bound * bound / 3).epsilon(0.1));
  const Tape tape;
  CHECK(conv(zeros({2, 6, 10, 11})).shape() == Shape{2, 40, 5, 6});

  Conv1d line(4, 6, 3, key, {.padding = 1});
  CHECK(line.weight.shape() == Shape{6, 4, 3});
  CHECK(values(line(zeros({1, 4, 2}))) ==
        values(broadcast_to(reshape(line.bias, {6, 1}), {1, 6, 2})));
  std::string names;
  line.visit([&](const char* name, const Parameter&) { names += name; });
  CHECK(names == "weightbias");
  CHECK_THROWS_WITH(Conv1d(4, 6, 3, key, {.groups = 4}), Contains("4 groups do not divide"));
}

}  // namespace rapt
