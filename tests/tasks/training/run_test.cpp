// The log and the state of a training run: what is written is read back, also after a kill, and a
// folder's run is continued only where that is right.
#include <cmath>
#include <limits>

#include "framework/core/error.hpp"
#include "tasks/training/run_log.hpp"
#include "tasks/training/run_state.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt;
using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

RunState some_state() {
  RunState state{.epoch = 3,
                 .batch = 17,
                 .step = 1234567890123,
                 .taken = 16,
                 .loss_sum = 0.1 + 0.2,
                 .best = 1.0 / 3,
                 .best_epoch = 2,
                 .best_step = 40,
                 .waited = 1,
                 .warmup = 12,
                 .skipped = 1,
                 .seconds = 12.34,
                 .finished = false,
                 .means = {}};
  state.means.add(2.5, 30, 0.7, 0.01);
  state.means.add(1.5, 10, 0.1, 0.02);
  return state;
}

void save(CheckpointFolder& folder, const RunState& state, const RunOptions& options,
          const RunLog& log) {
  folder.save(state.step, {{"x", zeros({1})}}, metadata_of(state, options, log));
}

}  // namespace

TEST_CASE("a log is read as it was written, without what a kill has cut") {
  const TemporaryFolder work;
  const std::string path = work.file("log.jsonl");
  RunLog log(path);
  log.add(TrainLine{.step = 50,
                    .loss = 1.0 / 3,
                    .lr = 1e-4,
                    .gradient_norm = 2,
                    .speed = 5600.04,
                    .memory = 412.3,
                    .seconds = 9.5});
  log.add(TrainLine{.step = 100, .loss = NAN, .lr = 2e-4, .gradient_norm = INFINITY});
  log.add(
      DevLine{.step = 100, .loss = 4.25, .scores = {{"BLEU", 12.5, true}, {"errors", 3, false}}});
  log.add(Note{100, "a \"note\"\nin two lines, \xff"});
  const std::string text = TemporaryFolder::read(path);
  CHECK(text == log.text());

  const RunHistory history = run_history(text + "{\"kind\":\"train\",\"step\":15");
  REQUIRE(history.train.size() == 2);
  CHECK(history.train[0].step == 50);
  CHECK(history.train[0].loss == 1.0 / 3);
  CHECK(history.train[0].speed == 5600.0);
  CHECK(history.train[0].memory == 412.3);
  CHECK(std::isnan(history.train[1].loss));
  REQUIRE(history.dev.size() == 1);
  REQUIRE(history.dev[0].scores.size() == 2);
  CHECK(history.dev[0].scores[0].value == 12.5);
  CHECK(history.dev[0].scores[0].higher_is_better);
  CHECK(history.dev[0].scores[1].name == "errors");
  CHECK(!history.dev[0].scores[1].higher_is_better);
  REQUIRE(history.notes.size() == 1);
  CHECK(history.notes[0].text == "a \"note\"\nin two lines, \xef\xbf\xbd");
  for (const char* line : {"", "\n\n", "[]", "7", "{}", "{\"kind\":\"train\"}",
                           "{\"kind\":\"note\",\"step\":1,\"text\":5}",
                           "{\"kind\":\"train\",\"step\":\"x\"}", "\xff"}) {
    const RunHistory none = run_history(line);
    CHECK(none.train.size() + none.dev.size() + none.notes.size() == 0);
  }

  const std::vector<CurvePanel> panels = panels_of(history, "words");
  REQUIRE(panels.size() == 7);
  CHECK(panels[0].series.size() == 2);
  CHECK(panels[0].series[0].y == std::vector<double>{1.0 / 3});  // without the NaN
  CHECK(panels[0].series[1].x == std::vector<double>{100});
  CHECK(panels_of({}, "words").empty());

  // From a checkpoint, the file is put back to where the checkpoint was.
  const RunLog again(path, text.substr(0, text.find('\n') + 1));
  CHECK(run_history(TemporaryFolder::read(path)).train.size() == 1);
  CHECK_THROWS_WITH(RunLog(work.file("none/log")), Contains("none/log"));
}

TEST_CASE("running means weigh losses by their tokens") {
  RunningMeans means = some_state().means;
  const TrainLine line = means.take(7, 1e-3, 99);
  CHECK(line.loss == Approx((2.5 * 30 + 1.5 * 10) / 40));
  CHECK(line.gradient_norm == Approx(0.4));
  CHECK(line.speed == Approx(40 / 0.03));
  CHECK(line.seconds == 99);
  CHECK(line.memory > 1);
  CHECK(line.memory < 1e6);
  CHECK(means.steps == 0);
  CHECK(means.loss == 0);
}

TEST_CASE("the state of a run is read back to the bit") {
  const TemporaryFolder work;
  RunLog log(work.file("log"));
  log.add(Note{1, "\xc3\xa9 </script>"});
  const RunState state = some_state();
  const auto metadata = metadata_of(state, {{"--lr", "0.001"}}, log);
  const RunState read = state_of(metadata);
  CHECK(read.epoch == state.epoch);
  CHECK(read.batch == state.batch);
  CHECK(read.step == state.step);
  CHECK(read.taken == state.taken);
  CHECK(read.loss_sum == state.loss_sum);
  CHECK(read.best == state.best);
  CHECK(read.best_epoch == state.best_epoch);
  CHECK(read.best_step == state.best_step);
  CHECK(read.waited == state.waited);
  CHECK(read.warmup == state.warmup);
  CHECK(read.skipped == state.skipped);
  CHECK(read.seconds == state.seconds);
  CHECK(read.means.steps == state.means.steps);
  CHECK(read.means.tokens == state.means.tokens);
  CHECK(read.means.loss == state.means.loss);
  CHECK(read.means.gradient_norm == state.means.gradient_norm);
  CHECK(read.means.seconds == state.means.seconds);
  CHECK(log_of(metadata) == log.text());
  // Nothing is saved that the list above has forgotten.
  CHECK(metadata_of(read, {{"--lr", "0.001"}}, log) == metadata);

  CHECK_THROWS_WITH(state_of({}), Contains("no checkpoint of a training run"));
  CHECK_THROWS_WITH(state_of({{"run", "{"}}), Contains("damaged"));
  CHECK_THROWS_WITH(state_of({{"run", "{}"}}), Contains("lacks 'epoch'"));
  CHECK_THROWS_WITH(state_of({{"run", "{\"epoch\":1.5}"}}), Contains("lacks 'epoch'"));
}

TEST_CASE("a run is continued where it is unfinished and its options are the same") {
  const TemporaryFolder work;
  const RunOptions options{{"--lr", "0.001"}, {"--source", "caf\xe9.en"}, {"--lower", ""}};
  const RunLog log(work.file("log"));
  CheckpointFolder folder(work.file("checkpoints"));
  const auto look = [&](const RunOptions& now, Resume resume) {
    return checkpoint_to_resume(folder, "model", now, resume);
  };
  CHECK(!look(options, Resume::automatic).has_value());
  CHECK_THROWS_WITH(look(options, Resume::required), "model holds no run to resume");

  RunState state = some_state();
  state.step = 60;
  save(folder, state, options, log);
  CHECK(look(options, Resume::automatic)->step == 60);
  CHECK(look(options, Resume::required)->step == 60);
  CHECK_THROWS_WITH(
      look({{"--lr", "0.002"}, {"--source", "caf\xe9.en"}, {"--heads", "4"}}, Resume::automatic),
      Contains("model, step 60") && Contains("--lr was 0.001, now is 0.002") &&
          Contains("--heads was not given, now is 4") &&
          Contains("--lower was empty, now is not given") && !Contains("--source") &&
          Contains("--restart"));
  const RunOptions elsewhere{{"--lr", "0.001"}, {"--source", "/tmp/a.en"}, {"--lower", ""}};
  CHECK_THROWS_WITH(look(elsewhere, Resume::automatic), Contains("now is /tmp/a.en"));
  CHECK(checkpoint_to_resume(folder, "model", elsewhere, Resume::automatic, {"--source"})->step ==
        60);

  state.step = 70;
  state.finished = true;
  save(folder, state, options, log);
  CHECK(look(options, Resume::automatic)->step == 70);
  folder.save(80, {{"x", zeros({1})}}, {});
  CHECK_THROWS_WITH(look(options, Resume::automatic), Contains("no checkpoint of a training run"));
  CHECK(!look(options, Resume::restart).has_value());
}
