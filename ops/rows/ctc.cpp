#include "ops/rows/ctc.hpp"

#include <fmt/format.h>

#include <limits>
#include <numeric>

#include "framework/core/error.hpp"
#include "framework/core/parallel.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/rows/ctc.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/index.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/row_split.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

struct CtcAttributes {
  int64_t blank;
};

constexpr int forward_inputs = 4;  // logits, targets, input_lengths, target_lengths

template <class T>
const kernels::CtcKernels<T>& ctc_kernels() {
  return kernels::kernels_for<kernels::CtcTable, T>();
}

template <class T>
kernels::Ctc<T> ctc_of(const ForwardContext& c) {
  const Shape& logits = c.input(0).shape;
  return {.logits = c.input(0).as<const T>(),
          .targets = c.input(1).as<const int32_t>(),
          .input_lengths = c.input(2).as<const int32_t>(),
          .target_lengths = c.input(3).as<const int32_t>(),
          .times = logits[1],
          .classes = logits[2],
          .labels = c.input(1).shape[1],
          .blank = static_cast<int32_t>(c.attributes<CtcAttributes>().blank)};
}

// Outputs: the loss of each utterance, and the values that the backward pass reads.
void ctc_shape(ShapeContext& c) {
  // Copies, because adding an output may move the inputs.
  const Shape logits = c.input(0), targets = c.input(1);
  const bool integers =
      c.dtype(1) == DType::int32 && c.dtype(2) == DType::int32 && c.dtype(3) == DType::int32;
  if (!is_float(c.dtype(0)) || !integers) {
    c.fail(fmt::format("expected float logits and int32 targets and lengths, got {}, {}, {} and {}",
                       name(c.dtype(0)), name(c.dtype(1)), name(c.dtype(2)), name(c.dtype(3))),
           ErrorKind::type);
  }
  if (logits.rank() != 3 || targets.rank() != 2 || targets[0] != logits[0] ||
      c.input(2) != Shape{logits[0]} || c.input(3) != Shape{logits[0]}) {
    c.fail(fmt::format(
        "expected logits [B, T, V], targets [B, U] and two times lengths [B], got {}, {}, {} and "
        "{}",
        to_string(logits), to_string(targets), to_string(c.input(2)), to_string(c.input(3))));
  }
  const int64_t blank = c.attributes<CtcAttributes>().blank;
  if (blank < 0 || blank >= logits[2]) {
    c.fail(fmt::format("the blank {} is none of the {} classes", blank, logits[2]),
           ErrorKind::usage);
  }
  c.output(Shape{logits[0]}, c.dtype());
  c.output(Shape{logits[0], logits[1]}, c.dtype());
  c.output(Shape{logits[0], logits[1]}, c.dtype());
  c.output(Shape{logits[0], logits[1], 2 * targets[1] + 3}, c.dtype());
}

template <class T>
void check_numbers(const kernels::Ctc<T>& in, int64_t batch) {
  for (int64_t b = 0; b < batch; ++b) {
    const int32_t times = in.input_lengths[b], labels = in.target_lengths[b];
    if (times < 0 || times > in.times) {
      throw Error(
          fmt::format("input length {} of utterance {} is none of 0 .. {}", times, b, in.times));
    }
    if (labels < 0 || labels > in.labels) {
      throw Error(
          fmt::format("target length {} of utterance {} is none of 0 .. {}", labels, b, in.labels));
    }
    for (int64_t u = 0; u < labels; ++u) {
      const int32_t label = in.targets[b * in.labels + u];
      if (label < 0 || label >= in.classes) {
        throw Error(fmt::format("target {} at position [{}, {}] is none of the {} classes", label,
                                b, u, in.classes));
      }
      if (label == in.blank) {
        throw Error(fmt::format("target {} at position [{}, {}] is the blank", label, b, u));
      }
    }
  }
}

template <class T, class Task>
void over_utterances(const ForwardContext& c, const kernels::Ctc<T>& in, const Task& task) {
  const auto& kernel = ctc_kernels<T>();
  const int64_t bytes = kernel.scratch_rows * in.row() * static_cast<int64_t>(sizeof(T));
  // A state costs about three exponentials and a logarithm. A class costs one exponential.
  const int64_t work = in.times * (4 * in.row() + in.classes);
  over_ranges(c, c.input(0).shape[0], work, [&](int64_t begin, int64_t end) {
    task(kernel, begin, end, static_cast<T*>(worker_scratch(bytes)));
  });
}

template <class T>
void ctc_forward(const ForwardContext& c) {
  const kernels::CtcForward<T> task{.in = ctc_of<T>(c),
                                    .loss = c.output(0).as<T>(),
                                    .largest = c.output(1).as<T>(),
                                    .log_sum = c.output(2).as<T>(),
                                    .alpha = c.output(3).as<T>()};
  check_numbers(task.in, c.input(0).shape[0]);
  over_utterances(c, task.in, [&](const auto& kernel, int64_t begin, int64_t end, T* scratch) {
    kernel.forward(task, begin, end, scratch);
  });
}

// Inputs: those of the forward pass, the gradient of the losses, and the outputs of the forward
// pass.
template <class T>
void ctc_backward(const ForwardContext& c) {
  const kernels::CtcBackward<T> task{.in = ctc_of<T>(c),
                                     .grad_loss = c.input(4).as<const T>(),
                                     .loss = c.input(5).as<const T>(),
                                     .largest = c.input(6).as<const T>(),
                                     .log_sum = c.input(7).as<const T>(),
                                     .alpha = c.input(8).as<const T>(),
                                     .grad_logits = c.output().as<T>()};
  over_utterances(c, task.in, [&](const auto& kernel, int64_t begin, int64_t end, T* scratch) {
    kernel.backward(task, begin, end, scratch);
  });
}

/// Returns the numbers 0 .. n - 1 in an array of this shape.
Tensor numbers(int64_t n, const Shape& shape) {
  std::vector<int32_t> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 0);
  return tensor(values, shape);
}

/// Shifts the columns of x [B, S] to the right by n and fills the gap with `fill`.
Var shifted(const Var& x, int64_t n, double fill) {
  const int64_t B = x.size(0), S = x.size(1);
  if (n >= S) return as_var(full({B, S}, fill, x.dtype()));
  return concat({full({B, n}, fill, x.dtype()), slice(x, 1, 0, S - n)}, 1);
}

// Forward algorithm: alpha[t, s] = p[t, s] (alpha[t - 1, s] + alpha[t - 1, s - 1] +
// alpha[t - 1, s - 2]). The last term applies only if state s - 2 has a different label. p(targets)
// is the sum of the last two states at the end. Unreachable states hold a large negative number
// instead of -inf, because the difference of two -inf would be NaN.
void ctc_reference(ReferenceContext& c) {
  constexpr double never = -1e30, infinity = std::numeric_limits<double>::infinity();
  const auto blank = static_cast<double>(c.attributes<CtcAttributes>().blank);
  const Var log_p = log_softmax(c.input(0)), targets = c.input(1);  // [B, T, V], [B, U]
  const Var times = unsqueeze(c.input(2), 1), labels = unsqueeze(c.input(3), 1);  // [B, 1]
  const int64_t B = log_p.size(0), T = log_p.size(1), U = targets.size(1), S = 2 * U + 1;
  const Var pairs = concat({full({B, U, 1}, blank, DType::int32), unsqueeze(targets, 2)}, 2);
  const Var states =
      concat({reshape(pairs, {B, 2 * U}), full({B, 1}, blank, DType::int32)}, 1);  // [B, S]
  const Var p = element(log_p, {numbers(B, {B, 1, 1}), numbers(T, {T, 1}), unsqueeze(states, 1)});
  const Var may_skip = logical_and(ne(states, blank), ne(states, shifted(states, 2, blank)));
  const Var place = as_var(numbers(S, {1, S}));
  Var alpha = as_var(full({B, S}, never, log_p.dtype()));
  for (int64_t t = 0; t < T; ++t) {
    const Var now = select(p, 1, t);  // [B, S]
    if (t == 0) {
      alpha = where(place < 2, now, never);
      continue;
    }
    const Var skipped = where(may_skip, shifted(alpha, 2, never), never);
    const Var ways = stack({alpha, shifted(alpha, 1, never), skipped}, 0);
    alpha = where(times > static_cast<double>(t), logsumexp(ways, {0}) + now, alpha);
  }
  const Var last = logical_or(eq(place, labels * 2), eq(place, labels * 2 - 1));
  const Var total = logsumexp(where(last, alpha, never), {1});  // [B]
  const Var loss = where(total > never / 2, -total, infinity);
  const Var empty = where(c.input(3) > 0, full({B}, infinity, log_p.dtype()), 0);
  c.output(0) = where(c.input(2) > 0, loss, empty);
}

// d loss / d logits[t, v] = g (softmax(logits)[t, v] - the share of the paths with v at t)
constinit const Op ctc_grad_op{
    .name = "ctc_loss_grad",
    .shape = [](ShapeContext& c) { return c.input(0); },
    .reference =
        [](ReferenceContext& c) {
          std::vector<Var> inputs, outputs(4);
          for (int i = 0; i < forward_inputs; ++i) inputs.push_back(c.input(i));
          ReferenceContext loss(inputs, outputs, c.words());
          ctc_reference(loss);
          const Var g = c.input(forward_inputs);
          c.output() = vjp(std::span(outputs.data(), 1), std::span(&g, 1), {{c.input(0)}})[0];
        },
    .cpu = {.forward = [](const ForwardContext& c) {
      by_float_type(c.output().dtype, [&]<class T>() { ctc_backward<T>(c); });
    }}};

constinit const Op ctc_op{.name = "ctc_loss",
                          .shape = ctc_shape,
                          .gradient =
                              [](GradientContext& c) {
                                if (!c.has_output_grad(0)) return;
                                Recycled<Arg> inputs;
                                for (int i = 0; i < forward_inputs; ++i)
                                  inputs.emplace_back(c.input(i));
                                inputs.emplace_back(c.output_grad());
                                for (int i = 0; i < 4; ++i) inputs.emplace_back(c.output(i));
                                c.input_grad(0) =
                                    record(ctc_grad_op, inputs, c.attributes<CtcAttributes>());
                              },
                          .reference = ctc_reference,
                          .traits = {.makes_infinity = true},
                          .cpu = {.forward = [](const ForwardContext& c) {
                            by_float_type(c.output().dtype, [&]<class T>() { ctc_forward<T>(c); });
                          }}};

}  // namespace

Var ctc_loss(const Arg& logits, const Arg& targets, const Arg& input_lengths,
             const Arg& target_lengths, const CtcOptions& options) {
  const Scope scope(logits.where);
  Var losses = record(ctc_op, {logits, targets, input_lengths, target_lengths},
                      CtcAttributes{options.blank});
  if (options.zero_infinity) {
    losses = where(eq(losses, std::numeric_limits<double>::infinity()), 0, losses);
  }
  switch (options.reduction) {
    case Reduction::mean:
      return mean(losses / maximum(cast(target_lengths, losses.dtype()), 1));
    case Reduction::sum:
      return sum(losses);
    case Reduction::none:
      break;
  }
  return losses;
}

}  // namespace v0
}  // namespace rapt
