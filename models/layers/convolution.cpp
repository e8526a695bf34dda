#include "models/layers/convolution.hpp"

#include <fmt/format.h>

#include <cmath>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "framework/graph/scope.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Returns the number of input channels that each of the `out` output channels reads.
int64_t channels_in_group(const char* layer, int64_t in, int64_t out, int64_t groups) {
  check_at_least(layer, "in", in, 1);
  check_at_least(layer, "out", out, 1);
  check_at_least(layer, "groups", groups, 1);
  if (in % groups != 0 || out % groups != 0) {
    throw Error({.op = layer,
                 .detail = fmt::format("{} groups do not divide {} channels in and {} out", groups,
                                       in, out)});
  }
  return in / groups;
}

void check_window(const char* layer, int64_t kernel, int64_t stride, int64_t padding,
                  int64_t dilation) {
  check_at_least(layer, "kernel", kernel, 1);
  check_at_least(layer, "stride", stride, 1);
  check_at_least(layer, "padding", padding, 0);
  check_at_least(layer, "dilation", dilation, 1);
}

void start(Parameter& weight, Parameter& bias, const Shape& shape, Key key) {
  const double fan_in = static_cast<double>(shape.size()) / static_cast<double>(shape[0]);
  const double bound = 1 / std::sqrt(fan_in);
  weight = Parameter(uniform(key.fold(0), shape, -bound, bound));
  bias = Parameter(uniform(key.fold(1), {shape[0]}, -bound, bound));
}

}  // namespace

Conv1d::Conv1d(int64_t in, int64_t out, int64_t kernel, Key key, const Conv1dOptions& o)
    : options(o) {
  check_window("Conv1d", kernel, o.stride, o.padding, o.dilation);
  start(weight, bias, {out, channels_in_group("Conv1d", in, out, o.groups), kernel}, key);
}

Var Conv1d::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  return conv1d(x, weight, bias, options);
}

Conv2d::Conv2d(int64_t in, int64_t out, Size2 kernel, Key key, const Conv2dOptions& o)
    : options(o) {
  check_window("Conv2d", kernel.height, o.stride.height, o.padding.height, o.dilation.height);
  check_window("Conv2d", kernel.width, o.stride.width, o.padding.width, o.dilation.width);
  start(weight, bias,
        {out, channels_in_group("Conv2d", in, out, o.groups), kernel.height, kernel.width}, key);
}

Var Conv2d::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  return conv2d(x, weight, bias, options);
}

}  // namespace v0
}  // namespace rapt
