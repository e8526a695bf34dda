// Checkpoints of a run: which files are kept, that kill -9 leaves a good one at any moment, and
// that a resumed run ends with the same bits as one that never stopped.
#include "framework/files/checkpoint_folder.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <rapt/rapt.hpp>
#include <thread>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

constexpr int64_t steps_in_all = 120;

/// Checkpoints that only tell their step.
void save(CheckpointFolder& folder, int64_t step, bool best = false) {
  folder.save(step, {{"step", full({3}, static_cast<double>(step))}},
              {{"step", std::to_string(step)}}, best);
}

std::vector<int64_t> numbers(std::initializer_list<int64_t> list) { return list; }

/// A translator with dropout that learns to write rows backwards: a run in miniature, with all that
/// has to come back after a stop.
struct TinyRun {
  GruSeq2Seq model{{.source_vocab = 12,
                    .target_vocab = 12,
                    .embed = 6,
                    .hidden = 9,
                    .readout = 7,
                    .dropout = 0.4},
                   Key{3}};
  AdamW adam{decay_matrices_only(parameters(model)), {.weight_decay = 0.1, .clip_norm = 0.5}};
  ExponentialMovingAverage average{parameters(model), 0.9};
  schedules::Schedule rate = schedules::cosine(2e-2, 5, steps_in_all);
  int64_t step = 0;

  void train_one() {
    const Key key = Key{17}.fold(static_cast<uint64_t>(step));
    constexpr int64_t rows = 5, width = 4;
    Tensor source({rows, width}, DType::int32), in({rows, width + 1}, DType::int32),
        out({rows, width + 1}, DType::int32);
    const auto s = source.data<int32_t>(), i = in.data<int32_t>(), o = out.data<int32_t>();
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < width; ++c) {
        const auto token = static_cast<int32_t>(4 + key.below(8, r * width + c));
        s[r * width + c] = token;
        i[r * (width + 1) + width - c] = token;
        o[r * (width + 1) + width - 1 - c] = token;
      }
      i[r * (width + 1)] = 2;
      o[r * (width + 1) + width] = 3;
    }
    Tape tape(Training{key.fold(1)});
    adam.lr(rate(step));
    adam.step(cross_entropy(model(source, in), out, {.label_smoothing = 0.1}));
    average.update();
    ++step;
  }

  NamedTensors state() {
    NamedTensors all = named(parameters(model));
    for (auto& entry : adam.state()) all.push_back(entry);
    for (auto& entry : average.state()) all.push_back(entry);
    return all;
  }

  void load(const CheckpointFolder::Latest& latest) {
    set_parameters(parameters(model), latest.checkpoint.tensors);
    adam.load(latest.checkpoint.tensors);
    average.load(latest.checkpoint.tensors);
    step = latest.step;
  }
};

/// The bytes of the file that a run without a stop ends with.
std::string straight_run(const TemporaryFolder& folder) {
  Executor executor({.threads = 1});
  const Executor::Use use(executor);
  TinyRun run;
  while (run.step < steps_in_all) run.train_one();
  save_safetensors(folder.file("straight"), run.state());
  return TemporaryFolder::read(folder.file("straight"));
}

}  // namespace

TEST_CASE("the last checkpoints and the best one are kept") {
  const TemporaryFolder work;
  CheckpointFolder folder(work.file("a/b"), 3);
  CHECK(folder.steps().empty());
  CHECK(!folder.latest().has_value());
  save(folder, 10);
  save(folder, 20, true);
  CHECK(folder.steps() == numbers({10, 20}));
  save(folder, 30);
  save(folder, 40);
  CHECK(folder.steps() == numbers({20, 30, 40}));
  save(folder, 50);
  save(folder, 60);
  CHECK(folder.steps() == numbers({40, 50, 60}));
  CHECK(load_safetensors(folder.best_file()).metadata.at("step") == "20");
  const auto latest = folder.latest();
  CHECK(latest->step == 60);
  CHECK(latest->checkpoint["step"].to_vector<double>() == std::vector<double>(3, 60));
  CHECK(latest->damaged.empty());

  // Better ones follow; the same step may be saved again, as best too.
  save(folder, 70, true);
  CHECK(load_safetensors(folder.best_file()).metadata.at("step") == "70");
  save(folder, 70, true);
  CHECK(load_safetensors(folder.best_file()).metadata.at("step") == "70");
  CHECK(folder.steps() == numbers({50, 60, 70}));

  // A run that goes back drops the steps that it has not made.
  save(folder, 55);
  CHECK(folder.steps() == numbers({50, 55}));
  save(folder, 5);
  CHECK(folder.steps() == numbers({5}));
  save(folder, 1234567890123);
  CHECK(folder.steps() == numbers({5, 1234567890123}));

  folder.clear();
  CHECK(folder.steps().empty());
  CHECK(!fs::exists(folder.best_file()));
  CHECK_THROWS_WITH(CheckpointFolder("x", 0), Contains("less than 1"));
  CHECK_THROWS_WITH(save(folder, -1), Contains("below 0"));
}

TEST_CASE("other files are left alone, damaged ones passed over and named") {
  const TemporaryFolder work;
  CheckpointFolder folder(work.path().string(), 2);
  for (const char* name : {"step-.safetensors", "step-x.safetensors", "step-5", "a.safetensors",
                           "step-99999999999999999999.safetensors", "step--5.safetensors"}) {
    work.write(name, "mine");
  }
  work.write("step-000000007.safetensors.part", "of a killed run");
  save(folder, 1);
  CHECK(!fs::exists(work.file("step-000000007.safetensors.part")));
  save(folder, 2);
  save(folder, 3);
  CHECK(folder.steps() == numbers({2, 3}));
  CHECK(fs::exists(work.file("step-5")));

  const std::string good = TemporaryFolder::read(folder.file(3));
  work.write("step-000000003.safetensors", good.substr(0, good.size() - 1));
  const auto latest = folder.latest();
  CHECK(latest->step == 2);
  REQUIRE(latest->damaged.size() == 1);
  CHECK_THAT(latest->damaged[0], Contains("step-000000003"));
  work.write("step-000000002.safetensors", "");
  CHECK_THROWS_WITH(folder.latest(), Contains("none of its checkpoints") &&
                                         Contains("step-000000002") && Contains("is empty") &&
                                         Contains("step-000000003"));
  work.write("file", "");
  CheckpointFolder nowhere(work.file("file"), 1);
  CHECK_THROWS_WITH(save(nowhere, 1), Contains("file: cannot"));
}

TEST_CASE("a folder has one writer at a time") {
  const TemporaryFolder work;
  CheckpointFolder second(work.path().string(), 2);
  {
    CheckpointFolder first(work.path().string(), 2);
    save(first, 1);
    CHECK_THROWS_WITH(save(second, 2), Contains("another process"));
    CHECK(second.latest()->step == 1);
  }
  save(second, 2);
  CHECK(second.steps() == numbers({1, 2}));
}

TEST_CASE("a folder is claimed before anything is saved") {
  const TemporaryFolder work;
  CheckpointFolder second(work.file("c"), 2);
  {
    CheckpointFolder first(work.file("c"), 2);
    first.claim();
    first.claim();
    CHECK_THROWS_WITH(second.claim(), Contains("another process"));
    CHECK_THROWS_WITH(save(second, 1), Contains("another process"));
    save(first, 1);
  }
  second.claim();
  CHECK(second.steps() == numbers({1}));
}

TEST_CASE("k steps, a stop and n - k steps are n steps, to the bit") {
  const TemporaryFolder work;
  const std::string straight = straight_run(work);
  const int threads = GENERATE(1, 2);
  const int64_t stop = GENERATE(int64_t{1}, int64_t{13}, steps_in_all - 1);
  // Each side of the stop with another number of threads, and every object made anew.
  {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    TinyRun run;
    while (run.step < stop) run.train_one();
    CheckpointFolder(work.file("run")).save(run.step, run.state(), {});
  }
  Executor executor({.threads = 3 - threads, .parallel_from = 0});
  const Executor::Use use(executor);
  TinyRun run;
  run.load(*CheckpointFolder(work.file("run")).latest());
  CHECK(run.step == stop);
  CHECK(run.adam.steps() == stop);
  while (run.step < steps_in_all) run.train_one();
  save_safetensors(work.file("resumed"), run.state());
  CHECK(TemporaryFolder::read(work.file("resumed")) == straight);
}

// Run by the test below, in a process of its own and in the folder to work in.
TEST_CASE("a worker that saves every step", "[.worker]") {
  Executor executor({.threads = 1});
  const Executor::Use use(executor);
  CheckpointFolder folder("checkpoints", 2);
  TinyRun run;
  if (const auto latest = folder.latest()) {
    if (!latest->damaged.empty()) FAIL(latest->damaged[0]);
    run.load(*latest);
  }
  while (run.step < steps_in_all) {
    run.train_one();
    folder.save(run.step, run.state(), {{"step", std::to_string(run.step)}}, run.step % 3 == 0);
  }
  save_safetensors("final", run.state());
}

/// Kills and resumes a run until it has ended; returns how often it was killed.
static int killed_run(const std::string& straight) {
  const TemporaryFolder work;
  const CheckpointFolder folder(work.file("checkpoints"), 2);
  const std::string program = fs::read_symlink("/proc/self/exe").string();
  int64_t known = 0;
  int kills = 0;
  bool ended = false;
  // The runs grow longer when nothing was saved, so that every machine gets on.
  double longest = 12;
  for (uint64_t round = 0; round < 400 && !ended; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      if (::chdir(work.path().c_str()) != 0) ::_exit(3);
      const int nowhere = ::open("/dev/null", O_WRONLY);
      ::dup2(nowhere, 1);
      ::execl(program.c_str(), program.c_str(), "[.worker]", static_cast<char*>(nullptr));
      ::_exit(4);
    }
    const double wait = Key{23}.uniform(round) * longest;
    std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(wait));
    // The last round of many may end by itself.
    if (kills < 40) ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFEXITED(status)) {
      REQUIRE(WEXITSTATUS(status) == 0);
      ended = true;
    } else {
      ++kills;
    }
    const auto latest = folder.latest();
    if (!latest.has_value()) {
      REQUIRE(known == 0);
      longest *= 1.2;
      continue;
    }
    INFO("kill " << kills);
    CHECK(latest->damaged.empty());
    CHECK(latest->checkpoint.metadata.at("step") == std::to_string(latest->step));
    CHECK(latest->step >= known);
    if (latest->step == known) longest *= 1.2;
    known = latest->step;
    // Of a third step; kills may come before its second name is there.
    if (known >= 30) {
      const int64_t best = std::stoll(load_safetensors(folder.best_file()).metadata.at("step"));
      CHECK(best % 3 == 0);
      CHECK(best <= known);
    }
  }
  REQUIRE(ended);
  // Kills between a save and the removal of older steps, one after the other, may have left some.
  const std::vector<int64_t> left = folder.steps();
  REQUIRE(left.size() >= 2);
  CHECK(std::vector(left.end() - 2, left.end()) == numbers({steps_in_all - 1, steps_in_all}));
  // Nor need the last of the best ones have got its second name.
  const int64_t best = std::stoll(load_safetensors(folder.best_file()).metadata.at("step"));
  CHECK(best % 3 == 0);
  CHECK(best >= steps_in_all - 3);
  CHECK(TemporaryFolder::read(work.file("final")) == straight);
  return kills;
}

TEST_CASE("kill -9 at any moment leaves a good checkpoint, and the run ends as if never killed") {
  const TemporaryFolder work;
  const std::string straight = straight_run(work);
  // On a fast machine a run may end after few kills: then there are more runs.
  int kills = 0;
  for (int run = 0; run < 20 && kills < 25; ++run) kills += killed_run(straight);
  CHECK(kills >= 25);
}
