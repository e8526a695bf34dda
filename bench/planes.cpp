// Convolutions and pooling, over planes and sequences.
#include "bench/bench.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/parameter.hpp"
#include "framework/graph/tape.hpp"
#include "ops/convolution/convolution.hpp"
#include "ops/convolution/pooling.hpp"

namespace bench {
namespace {

using namespace rapt;

const Key key{1};

/// Measures planes or, with h=0, sequences of w elements. A bias is added and learned.
void convolution_workload(const Settings& s) {
  const int64_t b = s["b"], c = s["c"], h = s["h"], w = s["w"], o = s["o"], k = s["k"];
  const int64_t stride = s["stride"], padding = s["padding"], groups = s["groups"];
  const bool sequence = h == 0, train = s["train"] != 0;
  const Tensor x = normal(key.fold(0), sequence ? Shape{b, c, w} : Shape{b, c, h, w});
  const Parameter weight(
      normal(key.fold(1), sequence ? Shape{o, c / groups, k} : Shape{o, c / groups, k, k}));
  const Parameter bias(normal(key.fold(2), {o}));
  const auto convolve = [&](const Var& input) {
    return sequence ? conv1d(input, weight, bias,
                             {.stride = stride, .padding = padding, .groups = groups})
                    : conv2d(input, weight, bias,
                             {.stride = stride, .padding = padding, .groups = groups});
  };
  Shape shape;
  {
    const Tape tape;
    shape = convolve(as_var(x)).shape();
  }
  const Tensor seed = normal(key.fold(3), shape);
  std::vector<Tensor> results;
  const Timing timing = repeat(
      [&] {
        results.clear();
        Tape tape;
        const Var xv = as_var(x), y = convolve(xv);
        if (train) {
          results = forward_backward(y, seed, {xv, as_var(weight), as_var(bias)});
        } else {
          results = {y.value()};
        }
      },
      s.seconds());
  const double flops = (train ? 6.0 : 2.0) * static_cast<double>(shape.size()) *
                       static_cast<double>(c / groups * (sequence ? k : k * k));
  report(s, timing, {{"gflops", giga(flops, timing)}});
  check_all(results, s);
}

/// Measures max or average pooling over windows of planes. A pass reads and writes the planes and
/// the data saved per window.
void pooling_workload(const Settings& s) {
  const int64_t h = s["h"], w = s["w"];
  const bool mean = s["mean"] != 0, train = s["train"] != 0;
  const PoolOptions2d options{.kernel = s["k"], .stride = s["stride"], .padding = s["padding"]};
  const auto pool = [&](const Var& x) {
    return mean ? avg_pool2d(x, options) : max_pool2d(x, options);
  };
  const Tensor x = normal(key.fold(0), {s["b"], s["c"], h, w});
  Shape shape;
  {
    const Tape tape;
    shape = pool(as_var(x)).shape();
  }
  const Tensor seed = normal(key.fold(1), shape);
  std::vector<Tensor> results;
  const Timing timing = repeat(
      [&] {
        results.clear();
        Tape tape;
        const Var xv = as_var(x), y = pool(xv);
        if (train) {
          results = forward_backward(y, seed, {xv});
        } else {
          results = {y.value()};
        }
      },
      s.seconds());
  const double bytes = (train ? 8.0 : 4.0) * static_cast<double>(x.size() + shape.size());
  report(s, timing, {{"gb_per_s", giga(bytes, timing)}});
  check_all(results, s);
}

}  // namespace

std::vector<Workload> plane_workloads() {
  return {
      {"conv",
       {{"b", 64},
        {"c", 32},
        {"h", 32, 0},
        {"w", 32},
        {"o", 64},
        {"k", 3},
        {"stride", 1},
        {"padding", 1, 0},
        {"groups", 1},
        {"train", 1, 0, 1}},
       convolution_workload},
      {"pool",
       {{"b", 64},
        {"c", 32},
        {"h", 32},
        {"w", 32},
        {"k", 2},
        {"stride", 2},
        {"padding", 0, 0},
        {"mean", 0, 0, 1},
        {"train", 1, 0, 1}},
       pooling_workload},
  };
}

}  // namespace bench
