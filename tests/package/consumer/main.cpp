// What a user's own project does with the installed package.
#include <cstdio>
#include <rapt/ops.hpp>
#include <rapt/rapt.hpp>

int main() {
  using namespace rapt;
  Linear layer(3, 2, Key{1});
  Adam adam(parameters(layer), {.lr = 0.1});
  double first = 0, last = 0;
  for (int step = 0; step < 50; ++step) {
    Tape tape;
    const Var loss = cross_entropy(layer(full({4, 3}, 1)), tensor<int32_t>({1, 1, 1, 1}));
    adam.step(loss);
    (step == 0 ? first : last) = loss.value().to_vector<double>()[0];
  }
  std::printf("%f -> %f\n", first, last);
  return last < 0.1 * first ? 0 : 1;
}
