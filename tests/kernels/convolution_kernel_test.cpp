// Convolution kernels against their reference, on arrays that end where memory does.
#include <cmath>
#include <vector>

#include "ops/kernels/convolution/convolution.hpp"
#include "ops/kernels/convolution/reference.hpp"
#include "tests/support/guarded.hpp"

namespace rapt::test {
namespace {

using namespace rapt::kernels;

template <class T>
const ConvolutionFunctions<T>& functions() {
  return kernels_for<ConvolutionKernels, T>();
}

ConvolutionAxis axis(int64_t in, int64_t kernel, int64_t stride, int64_t padding,
                     int64_t dilation) {
  const int64_t out = (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
  return {in, out, kernel, stride, padding, dilation};
}

template <class T>
void run_pass(ConvolutionPass pass, const ConvolutionShape& s, Guarded<T>& from, Guarded<T>& other,
              T* bias, Guarded<T>& to, T* bias_gradient = nullptr) {
  const auto& f = functions<T>();
  const ConvolutionPlan plan = f.plan(pass, s, bias_gradient != nullptr);
  const auto aligned = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
  std::vector<char> shared(aligned(plan.shared_bytes) + 64),
      worker(aligned(plan.worker_bytes) + 64);
  const auto start = [](std::vector<char>& v) {
    return v.data() + (64 - reinterpret_cast<uintptr_t>(v.data()) % 64) % 64;
  };
  for (int64_t i = plan.prepare_tasks; i-- > 0;) f.prepare(plan, other.data(), start(shared), i);
  for (int64_t i = plan.tasks; i-- > 0;) {
    f.run(plan, from.data(), other.data(), bias, to.data(), start(shared), start(worker), i);
  }
  for (int64_t i = plan.combine_tasks; i-- > 0;) {
    f.combine(plan, start(shared), to.data(), bias_gradient, i);
  }
}

template <class T>
void check(Guarded<T>& got, const std::vector<double>& want, const std::vector<double>& size) {
  const double epsilon = sizeof(T) == 4 ? 1e-6 : 1e-14;
  for (int64_t i = 0; i < got.size(); ++i) {
    const auto at = static_cast<size_t>(i);
    INFO("element " << i << ": " << got[i] << ", expected " << want[at]);
    REQUIRE(std::fabs(static_cast<double>(got[i]) - want[at]) <= epsilon * (1 + size[at]));
  }
}

template <class T>
void check_all(const ConvolutionShape& s) {
  const int64_t taps = s.rows.kernel * s.columns.kernel;
  Guarded<T> x(s.batch * s.channels * s.rows.in * s.columns.in, 1, 1);
  Guarded<T> g(s.batch * s.out_channels * s.rows.out * s.columns.out, 1, 2);
  Guarded<T> w(s.out_channels * (s.channels / s.groups) * taps, 1, 3);
  Guarded<T> bias(s.out_channels, 1, 4);
  Guarded<T> y(g.size()), gx(x.size()), gw(w.size());
  const auto doubles = [](Guarded<T>& v) {
    return std::vector<double>(static_cast<size_t>(v.size()));
  };
  Guarded<T> gb(s.out_channels);
  std::vector<double> want_y = doubles(g), want_x = doubles(x), want_w = doubles(w);
  std::vector<double> want_b = doubles(gb);
  std::vector<double> size_y = want_y, size_x = want_x, size_w = want_w, size_b = want_b;
  const int64_t plane = s.rows.out * s.columns.out;
  for (int64_t i = 0; i < g.size(); ++i) {
    const int64_t channel = i / plane % s.out_channels;
    want_y[static_cast<size_t>(i)] = static_cast<double>(bias[channel]);
    want_b[static_cast<size_t>(channel)] += static_cast<double>(g[i]);
    size_b[static_cast<size_t>(channel)] += std::fabs(static_cast<double>(g[i]));
  }
  reference::convolution(s, [&](int64_t xi, int64_t yi, int64_t wi) {
    const auto add = [](std::vector<double>& to, std::vector<double>& size, int64_t i, double v) {
      to[static_cast<size_t>(i)] += v;
      size[static_cast<size_t>(i)] += std::fabs(v);
    };
    const auto xv = static_cast<double>(x[xi]), gv = static_cast<double>(g[yi]),
               wv = static_cast<double>(w[wi]);
    add(want_y, size_y, yi, xv * wv);
    add(want_x, size_x, xi, gv * wv);
    add(want_w, size_w, wi, gv * xv);
  });
  run_pass<T>(ConvolutionPass::forward, s, x, w, bias.data(), y);
  check(y, want_y, size_y);
  run_pass<T>(ConvolutionPass::input_gradient, s, g, w, nullptr, gx);
  check(gx, want_x, size_x);
  run_pass<T>(ConvolutionPass::weight_gradient, s, x, g, nullptr, gw, gb.data());
  check(gw, want_w, size_w);
  check(gb, want_b, size_b);
}

}  // namespace

TEMPLATE_TEST_CASE("convolution and both gradients, all sorts of sizes", "[convolution]", float,
                   double) {
  for (const int64_t kernel : {1, 2, 3}) {
    for (const int64_t stride : {1, 2, 3}) {
      for (const int64_t dilation : {1, 2}) {
        for (const int64_t padding : {0, 1, 2}) {
          INFO("kernel " << kernel << ", stride " << stride << ", dilation " << dilation
                         << ", padding " << padding);
          check_all<TestType>({2, 3, 5, 1, axis(7, kernel, stride, padding, dilation),
                               axis(9, kernel + 1, stride, padding, dilation)});
          check_all<TestType>({2, 6, 4, 2, axis(8, kernel, stride, padding, dilation),
                               axis(10, 2, stride + 1, padding, 1)});
          check_all<TestType>({1, 3, 6, 3, axis(6, kernel, stride, padding, dilation),
                               axis(35, 3, stride, padding, dilation)});
        }
      }
    }
  }
  for (const int64_t out : {1, 15, 17, 33, 50, 65}) {
    check_all<TestType>({1, 2, out, 1, axis(4, 2, 1, 1, 1), axis(5, 3, 2, 1, 1)});
    check_all<TestType>({3, out, 2, 1, axis(1, 1, 1, 0, 1), axis(21, 4, 1, 2, 1)});
  }
}

TEMPLATE_TEST_CASE("convolution of planes that are cut into bands, and images put together",
                   "[convolution]", float, double) {
  // More rows than one band has; more columns; more images than one chunk.
  check_all<TestType>({2, 4, 3, 1, axis(301, 3, 2, 1, 1), axis(93, 3, 2, 1, 1)});
  check_all<TestType>({2, 2, 3, 1, axis(203, 3, 1, 1, 1), axis(301, 3, 1, 0, 1)});
  check_all<TestType>({1, 2, 18, 1, axis(1, 1, 1, 0, 1), axis(70001, 5, 3, 2, 2)});
  check_all<TestType>({1, 2, 2, 2, axis(1, 1, 1, 0, 1), axis(150003, 4, 2, 1, 1)});
  check_all<TestType>({49, 3, 5, 1, axis(3, 2, 1, 0, 1), axis(4, 3, 1, 1, 1)});
  check_all<TestType>({37, 16, 16, 16, axis(1, 1, 1, 0, 1), axis(21, 5, 1, 2, 1)});
}

TEST_CASE("an empty batch has a gradient of zeros") {
  const ConvolutionShape s{0, 3, 20, 1, axis(5, 3, 1, 1, 1), axis(5, 3, 1, 1, 1)};
  Guarded<float> none(0), weight(20 * 3 * 9);
  run_pass<float>(ConvolutionPass::forward, s, none, weight, nullptr, none);
  run_pass<float>(ConvolutionPass::input_gradient, s, none, weight, nullptr, none);
  run_pass<float>(ConvolutionPass::weight_gradient, s, none, none, nullptr, weight);
  for (int64_t i = 0; i < weight.size(); ++i) REQUIRE(weight[i] == 0);
}

}  // namespace rapt::test
