// The smallest training loop: fits y = w x + b to noisy points of a known line.
//
// Expected output:
//
//   step   0  loss 9.6
//   ...
//   learned y = 2.00 x -0.99 (the points were made from y = 2 x - 1)
#include <fmt/format.h>

#include <cstdio>
#include <rapt/rapt.hpp>

using namespace rapt;

int main() {
  const Tensor x = uniform(Key{1}, {256, 1}, -2, 2);
  const Tensor noise = normal(Key{2}, {256, 1}, 0, 0.05);

  Linear model(1, 1, Key{3});
  Sgd sgd(parameters(model), {.lr = 0.1});
  for (int step = 0; step <= 100; ++step) {
    Tape tape;
    const Var y = 2 * as_var(x) - 1 + noise;
    const Var loss = mse_loss(model(x), y);
    sgd.step(loss);
    if (step % 20 == 0) fmt::print("step {:3}  loss {:.4f}\n", step, loss.item());
  }
  fmt::print("learned y = {:.2f} x {:+.2f} (the points were made from y = 2 x - 1)\n",
             model.weight.value().item(), model.bias.value().item());
  return std::fflush(stdout) == 0 ? 0 : 1;
}
