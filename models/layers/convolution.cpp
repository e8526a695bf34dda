#include "models/layers/convolution.hpp"

#include <fmt/format.h>

#include <cmath>

#include "framework/core/error.hpp"
#include "framework/graph/scope.hpp"

namespace rapt::inline v0 {
namespace {

/// Returns the number of input channels that each of the `out` output channels reads.
int64_t channels_in_group(const char* layer, int64_t in, int64_t out, int64_t groups) {
  if (in < 1 || out < 1 || groups < 1 || in % groups != 0 || out % groups != 0) {
    throw Error(fmt::format("{}: {} groups do not divide {} channels in and {} out", layer, groups,
                            in, out));
  }
  return in / groups;
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
  start(weight, bias, {out, channels_in_group("Conv1d", in, out, o.groups), kernel}, key);
}

Var Conv1d::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  return conv1d(x, weight, bias, options);
}

Conv2d::Conv2d(int64_t in, int64_t out, Size2 kernel, Key key, const Conv2dOptions& o)
    : options(o) {
  start(weight, bias,
        {out, channels_in_group("Conv2d", in, out, o.groups), kernel.height, kernel.width}, key);
}

Var Conv2d::operator()(const Arg& x) const {
  const Scope scope(*this, x.where);
  return conv2d(x, weight, bias, options);
}

}  // namespace rapt::v0
