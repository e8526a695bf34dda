// A user-defined operator: swish (Ramachandran et al. 2017), y = x / (1 + exp(-b x)), with a
// learned slope b. Its forward body uses xtensor; its gradient rule uses rapt's Vars.
// check_gradient verifies the rule in double precision, including second derivatives. Then b is
// learned from samples of the curve for b = 1.7.
//
// custom_operator
//
//   swish(2) with b = 1: 1.761594
//   first and second derivatives agree with finite differences
//   a rule with a mistake is found: yes
//   step   0: loss 0.018284, b 1.0500
//   step 150: loss 0.000000, b 1.7003
//   step 300: loss 0.000000, b 1.7000
#include <cstdio>
#include <rapt/rapt.hpp>
#include <rapt/xtensor.hpp>

#include "framework/core/error.hpp"
#include "optim/optimizer.hpp"

using namespace rapt;

namespace {

/// y = x s with s = sigmoid(b x):  dy/dx = s + b y (1 - s),  dy/db = x y (1 - s)
void swish_gradient(GradientContext& c) {
  const Var x = c.input(0), b = c.input(1), y = c.output(), g = c.output_grad();
  const Var s = sigmoid(b * x);
  c.input_grad(0) = g * (s + b * y * (1 - s));
  c.input_grad(1) = g * x * y * (1 - s);  // summed back to b's shape
}

/// Inputs: x of any shape, b a scalar. The body runs for float and double.
const Op swish_op{
    .name = "swish",
    .shape =
        [](ShapeContext& c) {
          if (c.input(1).rank() != 0) c.fail("b has to be a scalar");
          return c.input(0);
        },
    .gradient = swish_gradient,
    .cpu = {.forward = xt_forward([](auto x, auto b, auto y) { y = x / (1 + xt::exp(-b * x)); })}};

Var swish(const Arg& x, const Arg& b) { return record(swish_op, {x, b}); }

/// The same operator with a mistake in its gradient rule.
const Op wrong_op{.name = "wrong_swish",
                  .shape = swish_op.shape,
                  .gradient =
                      [](GradientContext& c) {
                        const Var s = sigmoid(c.input(1) * c.input(0));
                        c.input_grad(0) = c.output_grad() * (s + c.output() * (1 - s));
                        c.input_grad(1) = c.output_grad() * c.output() * (1 - s);
                      },
                  .cpu = {.forward = swish_op.cpu.forward}};

bool passes(StaticOp op) {
  try {
    check_gradient(op, shapes({{3, 5}, {}}));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

int main() try {
  {
    const Tape tape;
    std::printf("swish(2) with b = 1: %.6f\n", swish(tensor<float>({2}), 1).item());
  }
  if (!passes(swish_op)) return 1;
  std::printf("first and second derivatives agree with finite differences\n");
  std::printf("a rule with a mistake is found: %s\n", passes(wrong_op) ? "no" : "yes");

  const Tensor x = uniform(Key{1}, {256}, -3, 3);
  const Tensor samples = from_xtensor(xt_view(x) / (1.f + xt::exp(-1.7f * xt_view(x))));
  const Parameter b(full({}, 1));
  Adam adam({b}, {.lr = 0.05});
  for (int step = 0; step <= 300; ++step) {
    const Tape tape;
    const Var loss = mean(square(swish(x, b) - samples));
    adam.step(loss);
    if (step % 150 == 0) {
      std::printf("step %3d: loss %.6f, b %.4f\n", step, loss.item(), b.value().item());
    }
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
