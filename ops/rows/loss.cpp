#include "ops/rows/loss.hpp"

#include <fmt/format.h>

#include <atomic>
#include <numeric>

#include "framework/core/error.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/elementwise/pointwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/row_split.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

struct CrossEntropyAttributes {
  int64_t ignore;
  double smoothing;
};

// ---- cross-entropy ------------------------------------------------------------------------------

// Inputs: logits, labels, and optionally class weights. Outputs per position: the loss and the
// weight of the label (0 if it is ignored). For the backward pass: the largest logit m and
// log(sum(exp(logits - m))).
void cross_entropy_shape(ShapeContext& c) {
  const Shape &logits = c.input(0), &labels = c.input(1);
  const DType dtype = c.dtype(0);
  if (!is_float(dtype) || c.dtype(1) != DType::int32) {
    c.fail(fmt::format("expected float logits and int32 labels, got {} and {}", name(dtype),
                       name(c.dtype(1))),
           ErrorKind::type);
  }
  if (logits.rank() == 0 || leading_shape(logits) != labels) {
    c.fail(fmt::format("expected logits [.., V] and labels [..], got {} and {}", to_string(logits),
                       to_string(labels)));
  }
  if (c.inputs() == 3 && (c.input(2) != Shape{logits[-1]} || c.dtype(2) != dtype)) {
    c.fail(fmt::format("expected class weights [{}] of {}, got {} of {}", logits[-1], name(dtype),
                       to_string(c.input(2)), name(c.dtype(2))),
           c.dtype(2) == dtype ? ErrorKind::shape : ErrorKind::type);
  }
  const double smoothing = c.attributes<CrossEntropyAttributes>().smoothing;
  if (!(smoothing >= 0 && smoothing <= 1)) {
    c.fail(fmt::format("label_smoothing has to be in [0, 1], it is {}", smoothing),
           ErrorKind::usage);
  }
  const Shape rows = labels;
  for (int i = 0; i < 4; ++i) c.output(rows, dtype);
}

void cross_entropy_forward(const ForwardContext& c) {
  const auto [ignore, smoothing] = c.attributes<CrossEntropyAttributes>();
  const Shape& shape = c.input(0).shape;
  std::atomic<int64_t> first_bad = shape.size() + 1;
  by_float_type(c.output().dtype, [&, ignored = ignore, smooth = smoothing]<class T>() {
    const kernels::CrossEntropy<T> arguments{
        .logits = c.input(0).as<const T>(),
        .labels = c.input(1).as<const int32_t>(),
        .class_weight = c.inputs() == 3 ? c.input(2).as<const T>() : nullptr,
        .classes = shape[-1],
        .smoothing = static_cast<T>(smooth),
        .ignore = static_cast<int32_t>(ignored),
        .loss = c.output(0).as<T>(),
        .weight = c.output(1).as<T>(),
        .largest = c.output(2).as<T>(),
        .log_sum = c.output(3).as<T>()};
    over_ranges(c, rows_of(shape), shape[-1], [&](int64_t begin, int64_t end) {
      const int64_t bad = row_kernels<T>().cross_entropy(arguments, begin, end);
      if (bad < 0) return;
      int64_t known = first_bad;
      while (bad < known && !first_bad.compare_exchange_weak(known, bad)) {
      }
    });
  });
  const int64_t bad = first_bad;
  if (bad <= shape.size()) {
    throw Error(fmt::format("label {} at {} is none of the {} classes",
                            c.input(1).as<const int32_t>()[bad], position_in(c.input(1).shape, bad),
                            shape[-1]));
  }
}

// With log p = log_softmax(logits): (1 - s) w[label] (-log p[label]) + s / V sum(-w log p).
void cross_entropy_reference(ReferenceContext& c) {
  const auto [ignore, smoothing] = c.attributes<CrossEntropyAttributes>();
  const Var logits = c.input(0), labels = c.input(1);
  const int64_t classes = logits.size(-1);
  std::vector<int32_t> numbers(static_cast<size_t>(classes));
  std::iota(numbers.begin(), numbers.end(), 0);
  const Var is_label = eq(unsqueeze(labels, -1), tensor(numbers, {classes}));  // [.., V]
  const Var counts = ne(labels, static_cast<double>(ignore));
  const Var log_p = log_softmax(logits);
  const bool has_weight = c.inputs() == 3;
  const Var weighted = has_weight ? log_p * c.input(2) : log_p;
  const Var on_label = -sum(where(is_label, weighted, 0), -1);
  Var loss = (1 - smoothing) * on_label;
  // Skipped without smoothing, because 0 times a log p of -inf would be NaN.
  if (smoothing > 0) loss = loss - smoothing / static_cast<double>(classes) * sum(weighted, -1);
  c.output(0) = where(counts, loss, 0);
  const Var ones = cast(is_label, logits.dtype());
  c.output(1) = where(counts, sum(has_weight ? ones * c.input(2) : ones, -1), 0);
}

// Inputs: logits, labels, the gradient of the losses, the largest logits, the logarithms of the
// sums, and optionally class weights.
void cross_entropy_grad_forward(const ForwardContext& c) {
  const auto [ignore, smoothing] = c.attributes<CrossEntropyAttributes>();
  const Shape& shape = c.input(0).shape;
  by_float_type(c.output().dtype, [&, ignored = ignore, smooth = smoothing]<class T>() {
    const kernels::CrossEntropyBackward<T> arguments{
        .logits = c.input(0).as<const T>(),
        .labels = c.input(1).as<const int32_t>(),
        .class_weight = c.inputs() == 6 ? c.input(5).as<const T>() : nullptr,
        .classes = shape[-1],
        .smoothing = static_cast<T>(smooth),
        .ignore = static_cast<int32_t>(ignored),
        .largest = c.input(3).as<const T>(),
        .log_sum = c.input(4).as<const T>(),
        .grad = c.input(2).as<const T>(),
        .grad_stride = 1,
        .dlogits = c.output().as<T>()};
    over_ranges(c, rows_of(shape), shape[-1], [&](int64_t begin, int64_t end) {
      row_kernels<T>().cross_entropy_backward(arguments, begin, end);
    });
  });
}

// With p = softmax(logits): dlogits = g ((1 - s) w[label] (p - one_hot(label)) + s / V (p sum(w) -
// w)), and 0 where ignored.
constinit const Op cross_entropy_grad_op{
    .name = "cross_entropy_grad",
    .shape = [](ShapeContext& c) { return c.input(0); },
    .reference =
        [](ReferenceContext& c) {
          const Var g = c.input(2);
          std::vector<Var> inputs{c.input(0), c.input(1)}, outputs(4);
          if (c.inputs() == 6) inputs.push_back(c.input(5));
          ReferenceContext loss(inputs, outputs, c.words());
          cross_entropy_reference(loss);
          c.output() = vjp(std::span(outputs.data(), 1), std::span(&g, 1), {{c.input(0)}})[0];
        },
    .traits = {.in_place = 1u << 0},
    .cpu = {.forward = cross_entropy_grad_forward}};

constinit const Op cross_entropy_op{
    .name = "cross_entropy",
    .shape = &cross_entropy_shape,
    .gradient =
        [](GradientContext& c) {
          if (!c.has_output_grad(0)) return;  // the sum of weights does not depend on the logits
          Recycled<Arg> inputs{c.input(0), c.input(1), c.output_grad(), c.output(2), c.output(3)};
          if (c.inputs() == 3) inputs.emplace_back(c.input(2));
          c.input_grad(0) =
              record(cross_entropy_grad_op, inputs, c.attributes<CrossEntropyAttributes>());
        },
    .reference = cross_entropy_reference,
    .cpu = {.forward = cross_entropy_forward}};

// ---- binary cross-entropy -----------------------------------------------------------------------

Var reduced(const Var& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::mean:
      return mean(losses);
    case Reduction::sum:
      return sum(losses);
    case Reduction::none:
      break;
  }
  return losses;
}

/// Returns both operands after checking that their shapes are equal. Broadcasting here would hide a
/// mistake.
std::pair<Var, Var> same_shape(std::string_view op, const Arg& a, const Arg& b) {
  const Var x =
      a.graph() == nullptr && b.graph() != nullptr ? a.on(*b.graph(), b.dtype()) : as_var(a);
  const Var y = b.on(x.graph(), x.dtype());
  if (x.shape() != y.shape()) {
    throw Error({.kind = ErrorKind::shape,
                 .op = std::string(op),
                 .detail = fmt::format("shapes differ: {} and {}", to_string(x.shape()),
                                       to_string(y.shape())),
                 .place = place_of(a.where)});
  }
  return {x, y};
}

}  // namespace

Var cross_entropy(const Arg& logits, const Arg& labels, const CrossEntropyOptions& options) {
  const Scope scope(logits.where);
  Recycled<Arg> inputs{logits, labels};
  if (!options.weight.is_empty()) inputs.emplace_back(options.weight);
  const Var losses = record(cross_entropy_op, inputs,
                            CrossEntropyAttributes{options.ignore, options.label_smoothing});
  if (options.reduction == Reduction::mean) return sum(losses) / sum(losses.output(1));
  return reduced(losses, options.reduction);
}

Var mse_loss(const Arg& prediction, const Arg& target, Reduction reduction) {
  const Scope scope(prediction.where);
  const auto [a, b] = same_shape("mse_loss", prediction, target);
  return reduced(square(a - b), reduction);
}

Var binary_cross_entropy_with_logits(const Arg& logits, const Arg& target, Reduction reduction) {
  const auto [x, t] = same_shape("binary_cross_entropy_with_logits", logits, target);
  return reduced(internal::logistic_loss(Arg(x, logits.where), Arg(t, target.where)), reduction);
}

}  // namespace v0
}  // namespace rapt
