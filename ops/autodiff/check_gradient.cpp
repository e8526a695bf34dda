#include "ops/autodiff/check_gradient.hpp"

#include <fmt/format.h>

#include <cctype>
#include <cmath>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

std::vector<InputSpec> shapes(std::initializer_list<Shape> list) {
  std::vector<InputSpec> specs;
  for (const Shape& shape : list) specs.push_back({shape});
  return specs;
}

std::vector<InputSpec> shapes(std::string_view text, Key key) {
  std::vector<InputSpec> specs(1);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == ' ') continue;
    if (c == ',') {
      specs.emplace_back();
    } else if (std::isdigit(byte) != 0) {
      int64_t size = c - '0';
      while (i + 1 < text.size() && std::isdigit(static_cast<unsigned char>(text[i + 1])) != 0) {
        size = size * 10 + (text[++i] - '0');
      }
      specs.back().shape.push_back(size);
    } else if (std::isalpha(byte) != 0) {
      specs.back().shape.push_back(1 + key.below(6, byte));
    } else {
      throw Error(
          {.op = "shapes",
           .detail = fmt::format("expected letters, numbers, blanks and commas in '{}'", text)});
    }
  }
  return specs;
}

namespace {

/// Step of the central differences. Their error is proportional to the square of the step, and the
/// rounding error to its inverse. This value nearly minimises the sum of both in double precision.
constexpr double step = 1e-5;

Tensor draw(const InputSpec& spec, Key key) {
  if (spec.dtype == DType::float64 || spec.dtype == DType::float32) {
    return uniform(key, spec.shape, spec.low, spec.high, spec.dtype);
  }
  const Tensor real = uniform(key, spec.shape, spec.low, spec.high, DType::float64);
  if (spec.dtype == DType::boolean) {
    Tensor mask(spec.shape, DType::boolean);
    for (int64_t i = 0; i < real.size(); ++i) {
      mask.data<bool>()[static_cast<size_t>(i)] =
          real.data<double>()[static_cast<size_t>(i)] >= 0.5;
    }
    return mask;
  }
  for (double& value : real.data<double>()) value = std::floor(value);
  return real.to(spec.dtype);
}

class Check {
 public:
  Check(FunctionRef<Var(std::span<const Var>)> f, std::span<const InputSpec> specs,
        const GradientCheckOptions& options)
      : f_(f), options_(options) {
    check_not_negative("check_gradient", "atol", options.atol);
    check_not_negative("check_gradient", "rtol", options.rtol);
    for (size_t i = 0; i < specs.size(); ++i) {
      if (specs[i].dtype == DType::float32) {
        throw Error({.kind = ErrorKind::type,
                     .op = "check_gradient",
                     .detail = "works in double precision; inputs are float64, int32, boolean"});
      }
      inputs_.push_back(draw(specs[i], options.key.fold(i)));
      directions_.push_back(
          uniform(options.key.fold(1000 + i), specs[i].shape, -1, 1, DType::float64));
    }
  }

  void run() {
    compare(1);
    if (options_.second_order) compare(2);
  }

 private:
  /// Records the inputs and the scalar that is differentiated. For order 1 it is the weighted sum
  /// of f. For order 2 it is the product of that sum's gradient with the directions.
  Var scalar(int order, std::vector<Var>& vars) {
    vars.clear();
    for (const Tensor& input : inputs_) vars.push_back(as_var(input));
    const Var y = f_(vars);
    if (!is_float(y.dtype())) {
      throw Error({.kind = ErrorKind::type,
                   .op = "check_gradient",
                   .detail = "the result is no float array"});
    }
    const Tensor weights = uniform(options_.key.fold(999), y.shape(), -1, 1, DType::float64);
    Var result = sum(y * weights);
    if (order == 1) return result;
    const std::vector<Var> wrt = floats(vars);
    const std::vector<Var> gradients = grad(result, wrt);
    result = Var();
    size_t g = 0;
    for (size_t i = 0; i < vars.size(); ++i) {
      if (!is_float(vars[i].dtype())) continue;
      const Var part = sum(gradients[g++] * directions_[i]);
      result = result.is_empty() ? part : result + part;
    }
    return result;
  }

  static std::vector<Var> floats(const std::vector<Var>& vars) {
    std::vector<Var> result;
    for (const Var& var : vars) {
      if (is_float(var.dtype())) result.push_back(var);
    }
    return result;
  }

  double value(int order) {
    Tape tape(Training{options_.key});
    std::vector<Var> vars;
    return scalar(order, vars).item();
  }

  void compare(int order) {
    std::vector<Tensor> analytic;
    {
      Tape tape(Training{options_.key});
      std::vector<Var> vars;
      const Var result = scalar(order, vars);
      for (const Var& gradient : grad(result, floats(vars))) {
        analytic.push_back(gradient.value().clone());
      }
    }
    size_t g = 0;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!is_float(inputs_[i].dtype())) continue;
      compare_input(order, i, analytic[g++]);
    }
  }

  void compare_input(int order, size_t i, const Tensor& analytic) {
    const std::span<double> x = inputs_[i].data<double>();
    for (size_t e = 0; e < x.size(); ++e) {
      const double kept = x[e];
      x[e] = kept + step;
      const double above = value(order);
      x[e] = kept - step;
      const double below = value(order);
      x[e] = kept;
      const double expected = (above - below) / (2 * step);
      const double given = analytic.data<double>()[e];
      if (std::abs(given - expected) <= options_.atol + options_.rtol * std::abs(expected))
        continue;
      throw Error({.op = "check_gradient",
                   .detail = fmt::format(
                       "derivative of order {} with respect to input {} {}, element {}: the rule"
                       " gives {:.10g}, finite differences {:.10g}",
                       order, i, to_string(inputs_[i].shape()), e, given, expected)});
    }
  }

  FunctionRef<Var(std::span<const Var>)> f_;
  GradientCheckOptions options_;
  std::vector<Tensor> inputs_, directions_;
};

}  // namespace

void check_gradient(FunctionRef<Var(std::span<const Var>)> f, std::span<const InputSpec> inputs,
                    const GradientCheckOptions& options) {
  Check(f, inputs, options).run();
}

void check_gradient(StaticOp op, const std::vector<InputSpec>& inputs,
                    std::span<const int64_t> words, const GradientCheckOptions& options) {
  const auto apply = [&](std::span<const Var> vars) {
    std::vector<Arg> args;
    for (const Var& var : vars) args.push_back(Arg(var));
    return record(op, args, words);
  };
  try {
    check_gradient(apply, inputs, options);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::memory || !error.place().empty()) throw;
    throw Error({.kind = error.kind(), .op = std::string(op->name), .detail = error.what()});
  }
}

}  // namespace v0
}  // namespace rapt
