// The training loop with a task of one's own.
#include "tasks/training/training.hpp"

#include <filesystem>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "models/layers/linear.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/loss.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt;
using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

/// Fits a line. May throw at a step, as a failing program does, and counts its calls.
class Line : public Task {
 public:
  explicit Line(std::int64_t last_step = -1, std::string data = "a")
      : last_step_(last_step), data_(std::move(data)) {}

  std::vector<Parameter> parameters() override { return rapt::parameters(layer_); }
  std::string digest() const override { return data_; }
  Epoch epoch(std::int64_t number) override {
    return {.batches = 5, .make = [number](std::int64_t i) {
              const Key key = Key{7}.fold(static_cast<std::uint64_t>(5 * number + i));
              return Batch{.tensors = {{"x", uniform(key, {8, 2}, -1, 1)}}, .units = 8};
            }};
  }
  Var loss(const Batch& batch) override {
    if (steps_++ == last_step_) throw std::runtime_error("killed");
    return distance(batch["x"]);
  }
  DevScores measure() override {
    const Tape tape;
    const double loss = distance(uniform(Key{1}, {50, 2}, -1, 1)).item();
    return {.loss = loss, .scores = {{"Closeness", -loss}}};
  }

 private:
  Var distance(const Tensor& x) const {
    return mse_loss(layer_(x), 3 * as_var(x) + 0.5 + 0.1 * normal(Key{3}, x.shape(), 0, 1));
  }

  Linear layer_{2, 2, Key{1}};
  std::int64_t last_step_, steps_ = 0;
  std::string data_;
};

TrainingOptions options(const std::string& folder) {
  return {.model = folder, .epochs = 6, .lr = 0.05, .warmup = 3, .log_every = 1, .quiet = true};
}

void train(const TrainingOptions& o, std::int64_t last_step = -1, const std::string& data = "a") {
  run_training(o, [&] { return std::make_unique<Line>(last_step, data); });
}

}  // namespace

TEST_CASE("a task that says only what it must is trained, saved, logged and reported") {
  const TemporaryFolder folder;
  TrainingOptions o = options(folder.file("m"));
  o.report = folder.file("m/report");
  train(o);
  Line trained, fresh;
  load_parameters(folder.file("m/model.safetensors"), trained.parameters());
  CHECK(trained.measure().loss < 0.5 * fresh.measure().loss);
  CHECK_THAT(TemporaryFolder::read(folder.file("m/report/index.html")), Contains("Closeness"));
  CHECK_THAT(TemporaryFolder::read(folder.file("m/log.jsonl")), Contains("\"kind\":\"dev\""));
  CHECK_THAT(TemporaryFolder::read(folder.file("m/training.json")),
             Contains("\"lr\": \"0.05\"") && Contains("\"epoch\": 6"));
}

TEST_CASE("a run that failed at any step resumes, and ends with the same bits") {
  const TemporaryFolder folder;
  train(options(folder.file("whole")));
  const std::string wanted = TemporaryFolder::read(folder.file("whole/model.safetensors"));
  for (const std::int64_t step : {0, 4, 5, 17}) {
    TrainingOptions o = options(folder.file("parts"));
    o.checkpoint_minutes = 0;  // after each step
    CHECK_THROWS_WITH(train(o, step), Contains("killed"));
    train(o);
    CHECK(TemporaryFolder::read(folder.file("parts/model.safetensors")) == wanted);
    std::filesystem::remove_all(folder.file("parts"));
  }
}

TEST_CASE("a run is not resumed with other options or data, and they are named") {
  const TemporaryFolder folder;
  TrainingOptions o = options(folder.file("m"));
  o.checkpoint_minutes = 0;
  CHECK_THROWS(train(o, 3));
  TrainingOptions other = o;
  other.lr = 0.1;
  CHECK_THROWS_WITH(train(other), Contains("lr was 0.05, now is 0.1"));
  CHECK_THROWS_WITH(train(o, -1, "b"), Contains("the data"));
  train(o);
  CHECK_THROWS_WITH(train(o), Contains("its run is finished"));
  other.resume = Resume::restart;
  CHECK_NOTHROW(train(other));
}

TEST_CASE("patience ends a run, and the best epoch is kept") {
  const TemporaryFolder folder;
  TrainingOptions o = options(folder.file("m"));
  o.epochs = 50;
  o.lr = 0.3;
  o.schedule = "constant";
  o.best_by = "closeness";
  o.patience = 2;
  train(o);
  const RunHistory history = run_history(TemporaryFolder::read(folder.file("m/log.jsonl")));
  REQUIRE(history.dev.size() < 50);
  const auto best = std::min_element(history.dev.begin(), history.dev.end(),
                                     [](const auto& a, const auto& b) { return a.loss < b.loss; });
  CHECK(history.dev.end() - best == 3);  // two epochs that were not better
  Line kept;
  load_parameters(folder.file("m/model.safetensors"), kept.parameters());
  CHECK(kept.measure().loss == best->loss);
}

TEST_CASE("options that mean nothing are refused") {
  const TemporaryFolder folder;
  TrainingOptions o = options(folder.file("m"));
  o.schedule = "linear";
  CHECK_THROWS_WITH(train(o), Contains("'linear' is no schedule"));
  o = options(folder.file("n"));
  o.best_by = "bleu";
  CHECK_THROWS_WITH(train(o), Contains("no score 'bleu'"));
}
