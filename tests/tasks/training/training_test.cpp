// The training loop with a task of one's own.
#include "tasks/training/training.hpp"

#include <filesystem>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "models/layers/linear.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/loss.hpp"
#include "tasks/training/kept.hpp"
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
  other.resume = Resume::restart;
  CHECK_NOTHROW(train(other));
}

TEST_CASE("a finished run that is repeated stays as it is, and higher limits train it further") {
  const TemporaryFolder folder;
  TrainingOptions o = options(folder.file("m"));
  o.schedule = "constant";
  o.epochs = 3;
  train(o);
  const auto log = [&] { return TemporaryFolder::read(folder.file("m/log.jsonl")); };
  const auto devs = [&] { return run_history(log()).dev.size(); };
  CHECK(devs() == 3);
  const std::string before = TemporaryFolder::read(folder.file("m/model.safetensors"));
  train(o);
  CHECK(TemporaryFolder::read(folder.file("m/model.safetensors")) == before);
  CHECK(devs() == 3);
  o.epochs = 6;
  train(o);
  CHECK(devs() == 6);
  // The rate is constant, so this is what one run of six epochs gives.
  TrainingOptions whole = o;
  whole.model = folder.file("whole");
  train(whole);
  CHECK(TemporaryFolder::read(folder.file("whole/model.safetensors")) ==
        TemporaryFolder::read(folder.file("m/model.safetensors")));
  o.epochs = 5;
  CHECK_NOTHROW(train(o));  // finished, with more epochs than asked for
  CHECK(devs() == 6);
}

TEST_CASE("steps limit a run, in the middle of an epoch too, and measures come by steps") {
  const TemporaryFolder folder;
  TrainingOptions o = options(folder.file("m"));
  o.epochs = 0;
  o.max_steps = 12;  // of 5 in an epoch
  o.keep = 2;
  const auto steps_of = [&] {
    std::vector<std::int64_t> steps;
    for (const DevLine& line : run_history(TemporaryFolder::read(folder.file("m/log.jsonl"))).dev) {
      steps.push_back(line.step);
    }
    return steps;
  };
  using Steps = std::vector<std::int64_t>;
  train(o);
  CHECK(steps_of() == Steps{5, 10, 12});
  o.measure_every = 4;
  o.resume = Resume::restart;
  train(o);
  CHECK(steps_of() == Steps{4, 8, 12});
  CHECK(kept_checkpoints(o.model, 9) ==
        std::vector<std::string>{"step-000000008.safetensors", "step-000000012.safetensors"});
  CHECK(!std::filesystem::exists(folder.file("m/step-000000004.safetensors")));
  CHECK(!std::filesystem::exists(folder.file("m/epoch-0001.safetensors")));  // of the first run
  const std::string wanted = TemporaryFolder::read(folder.file("m/model.safetensors"));
  // A stop at any step, measured or not, changes nothing.
  for (const std::int64_t step : {1, 4, 5, 8, 11}) {
    TrainingOptions parts = o;
    parts.model = folder.file("parts");
    parts.checkpoint_minutes = 0;
    CHECK_THROWS_WITH(train(parts, step), Contains("killed"));
    parts.resume = Resume::required;
    train(parts);
    CHECK(TemporaryFolder::read(folder.file("parts/model.safetensors")) == wanted);
    std::filesystem::remove_all(parts.model);
  }
}

TEST_CASE("the warm-up is a tenth of the steps, unless it is given") {
  const TemporaryFolder folder;
  const auto rates = [&](std::int64_t warmup) {
    TrainingOptions o = options(folder.file(std::to_string(warmup)));
    o.warmup = warmup;
    train(o);
    std::vector<double> all;
    for (const TrainLine& line : run_history(TemporaryFolder::read(o.model + "/log.jsonl")).train) {
      all.push_back(line.lr);
    }
    return all;
  };
  CHECK(rates(-1) == rates(3));  // of 30 steps
  CHECK(rates(-1) != rates(4));
}

TEST_CASE("a model is not overwritten, and nothing is changed where it would be") {
  const TemporaryFolder folder;
  TrainingOptions o = options(folder.file("m"));
  std::filesystem::create_directory(o.model);
  const std::string model = folder.write("m/model.safetensors", "a model");
  for (const Resume resume : {Resume::automatic, Resume::restart}) {
    o.resume = resume;
    CHECK_THROWS_WITH(train(o), Contains("m holds a model, model.safetensors, but no run") &&
                                    Contains("--overwrite"));
  }
  CHECK(TemporaryFolder::read(model) == "a model");
  CHECK(!std::filesystem::exists(folder.file("m/checkpoints")));
  o.overwrite = true;
  train(o);
  CHECK(TemporaryFolder::read(model) != "a model");
}

TEST_CASE("a folder belongs to one run, from before its data are read") {
  const TemporaryFolder folder;
  const TrainingOptions o = options(folder.file("m"));
  run_training(o, [&] {
    bool read = false;
    CHECK_THROWS_WITH(run_training(o,
                                   [&] {
                                     read = true;
                                     return std::make_unique<Line>();
                                   }),
                      Contains("another process"));
    CHECK(!read);
    return std::make_unique<Line>();
  });
}

TEST_CASE("what cannot be written is known before the data are read") {
  const TemporaryFolder folder;
  TrainingOptions o = options(folder.file("m"));
  o.report = folder.write("taken", "a file");
  bool read = false;
  CHECK_THROWS(run_training(o, [&] {
    read = true;
    return std::make_unique<Line>();
  }));
  CHECK(!read);
}

TEST_CASE("a run starts from a model, with a new optimizer") {
  const TemporaryFolder folder;
  TrainingOptions o = options(folder.file("a"));
  train(o);
  Line learned, fresh;
  load_parameters(folder.file("a/model.safetensors"), learned.parameters());
  o.model = folder.file("b");
  o.init_from = folder.file("a");
  o.epochs = 1;
  o.lr = 1e-4;
  train(o);
  Line second;
  load_parameters(folder.file("b/model.safetensors"), second.parameters());
  CHECK(second.measure().loss == Approx(learned.measure().loss).epsilon(0.1));
  CHECK(second.measure().loss < 0.9 * fresh.measure().loss);
  // The run goes on only with the model that it began with.
  o.epochs = 2;
  std::filesystem::copy_file(folder.file("b/model.safetensors"), folder.file("a/model.safetensors"),
                             std::filesystem::copy_options::overwrite_existing);
  CHECK_THROWS_WITH(train(o), Contains("have changed"));
}

TEST_CASE("the mean is of one run's models, in their order, and replaces none") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.file("old"));
  for (const char* name : {"epoch-9999", "epoch-10000", "epoch-10001"}) {
    folder.write("old/" + std::string(name) + ".safetensors", "");
  }
  CHECK(kept_checkpoints(folder.file("old"), 2) ==
        std::vector<std::string>{"epoch-10000.safetensors", "epoch-10001.safetensors"});

  TrainingOptions o = options(folder.file("m"));
  o.keep = 10;
  train(o);
  CHECK(kept_checkpoints(o.model, 9).size() == 6);
  // What a killed process has not removed yet, the next one removes.
  folder.write("m/epoch-0000.safetensors", "");
  o.epochs = 7;
  o.keep = 2;
  train(o);
  CHECK(kept_checkpoints(o.model, 9) ==
        std::vector<std::string>{"epoch-0006.safetensors", "epoch-0007.safetensors"});
  for (const char* name : {"m/epoch-0000.safetensors", "m/epoch-0003.safetensors"}) {
    CHECK(!std::filesystem::exists(folder.file(name)));
  }
  o.keep = 10;
  o.epochs = 3;
  o.resume = Resume::restart;
  train(o);
  CHECK(kept_checkpoints(o.model, 5) == std::vector<std::string>{"epoch-0001.safetensors",
                                                                 "epoch-0002.safetensors",
                                                                 "epoch-0003.safetensors"});
  AverageOptions mean{.model = o.model, .output = folder.file("./m"), .checkpoints = {}};
  const auto save = [&](const std::string&, const NamedTensors& tensors) {
    save_safetensors(mean.output + "/model.safetensors", tensors);
  };
  CHECK_THROWS_WITH(average(mean, save), Contains("would replace the best model"));
  mean.output = folder.file("mean");
  CHECK(average(mean, save) == 0);
  CHECK_THROWS_WITH(average(mean, save), Contains("--overwrite"));
  mean.overwrite = true;
  CHECK(average(mean, save) == 0);
  mean.output = folder.file("other");
  TrainingOptions other = options(mean.output);
  train(other);
  CHECK_THROWS_WITH(average(mean, save), Contains("holds another run"));
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
  o = options(folder.file("o"));
  o.epochs = 0;
  CHECK_THROWS_WITH(train(o), Contains("no end"));
  o.max_hours = 1;
  CHECK_THROWS_WITH(train(o), Contains("needs a limit of epochs or steps"));
  o = options(folder.file("n"));
  o.best_by = "bleu";
  CHECK_THROWS_WITH(train(o), Contains("no score 'bleu'"));
}
