// Trains a model of your own on data of your own, with all that the other programs have: a
// schedule, checkpoints, resuming, early stopping, a log and a report.
//
//   own_task FOLDER
//
// It learns to tell two spirals apart. Stop it with Ctrl-C and start it again: it resumes, and ends
// with the same bits. FOLDER/report/index.html shows its curves. Expected output:
//
//   epoch 1: train loss 0.7..., dev accuracy 5...
//   ...
//   best dev accuracy 100.0000, of epoch 11, after 0.0 minutes; 3 plans for 520 steps
#include <fmt/format.h>

#include <cmath>
#include <rapt/rapt.hpp>

#include "tasks/draw/messages.hpp"
#include "tasks/training/training.hpp"

namespace {

using namespace rapt;

/// A network with one hidden layer: points [B, 2] -> logits [B, 2].
struct Net {
  Linear in{2, 64, Key{1}, {.activation = Activation::tanh}}, middle{64, 64, Key{2}},
      out{64, 2, Key{3}};

  Var operator()(const Arg& x) const { return out(relu(middle(in(x)))); }
  void visit(auto&& f) {
    f("in", in);
    f("middle", middle);
    f("out", out);
  }
};

class Spirals : public tasks::Task {
 public:
  std::vector<Parameter> parameters() override { return rapt::parameters(net_); }

  tasks::Epoch epoch(std::int64_t number) override {
    return {.batches = 20, .make = [number](std::int64_t i) {
              return points(Key{7}.fold(static_cast<std::uint64_t>(20 * number + i)), 64);
            }};
  }

  Var loss(const tasks::Batch& batch) override {
    return cross_entropy(net_(batch["points"]), batch["labels"]);
  }

  tasks::DevScores measure() override {
    const tasks::Batch held_out = points(Key{8}, 1000);
    const Tape tape;
    const Var logits = net_(held_out["points"]);
    const Var chosen = cast(lt(select(logits, 1, 0), select(logits, 1, 1)), DType::int32);
    const Var right = cast(eq(chosen, held_out["labels"]), DType::float32);
    return {.loss = cross_entropy(logits, held_out["labels"]).item(),
            .scores = {{"accuracy", 100 * mean(right).item()}}};
  }

  std::string summary() const override { return "two spirals, one network of 64 units"; }

 private:
  /// Draws points on two noisy spirals, with the number of the spiral as label.
  static tasks::Batch points(Key key, std::int64_t count) {
    std::vector<float> at;
    std::vector<std::int32_t> labels;
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(count); ++i) {
      const auto label = static_cast<std::int32_t>(i % 2);
      const double turn = key.uniform(2 * i), noise = 0.05 * key.uniform(2 * i + 1),
                   angle = 9 * turn + 3.14159 * label;
      at.push_back(static_cast<float>((turn + noise) * std::cos(angle)));
      at.push_back(static_cast<float>((turn + noise) * std::sin(angle)));
      labels.push_back(label);
    }
    return {.tensors = {{"points", tensor(at, {count, 2})}, {"labels", tensor(labels, {count})}},
            .units = count};
  }

  Net net_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "own_task_model";
  try {
    return tasks::run_training({.program = "own_task",
                                .unit = "points",
                                .model = folder,
                                .epochs = 40,
                                .lr = 1e-2,
                                .warmup = 20,
                                .best_by = "accuracy",
                                .patience = 15,
                                .report = folder + "/report"},
                               [] { return std::make_unique<Spirals>(); });
  } catch (const std::exception& error) {
    tasks::print_message(fmt::format("own_task: {}", error.what()));
    return 1;
  }
}
