#include "tasks/training/training.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "tasks/data/files.hpp"
#include "tasks/data/prefetch.hpp"
#include "tasks/data/version.hpp"
#include "tasks/draw/messages.hpp"
#include "tasks/training/nonfinite.hpp"
#include "tasks/training/run_report.hpp"

namespace rapt::tasks {
namespace {

std::string small(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// Returns the options that change what is learned.
RunOptions learning_options(const TrainingOptions& o) {
  return {{"epochs", std::to_string(o.epochs)},
          {"lr", fmt::format("{}", o.lr)},
          {"schedule", o.schedule},
          {"warmup", std::to_string(o.warmup)},
          {"beta2", fmt::format("{}", o.beta2)},
          {"weight_decay", fmt::format("{}", o.weight_decay)},
          {"clip_norm", fmt::format("{}", o.clip_norm)},
          {"best_by", o.best_by},
          {"patience", std::to_string(o.patience)},
          {"seed", std::to_string(o.seed)}};
}

schedules::Schedule schedule_of(const TrainingOptions& o, std::int64_t steps) {
  if (o.schedule == "cosine") return schedules::cosine(o.lr, o.warmup, steps);
  if (o.schedule == "inverse-sqrt") return schedules::warmup_inverse_sqrt(o.lr, o.warmup);
  if (o.schedule == "constant") return schedules::constant(o.lr);
  throw Error(
      fmt::format("'{}' is no schedule: there are cosine, inverse-sqrt and constant", o.schedule));
}

}  // namespace

TrainingRun::TrainingRun(TrainingOptions options,
                         const std::function<std::unique_ptr<Task>()>& make)
    : options_(std::move(options)), checkpoints_(options_.model + "/checkpoints", 2) {
  if (options_.chosen.empty()) options_.chosen = learning_options(options_);
  const TrainingOptions& o = options_;
  // First, because it may throw and making the task may take long.
  const auto latest = checkpoint_to_resume(checkpoints_, o.model, o.chosen, o.resume);
  task_ = make();
  const std::vector<Parameter> learned = task_->parameters();
  adam_.emplace(
      decay_matrices_only(learned),
      AdamOptions{
          .lr = o.lr, .beta2 = o.beta2, .weight_decay = o.weight_decay, .clip_norm = o.clip_norm});
  const Epoch first = task_->epoch(0);
  steps_per_epoch_ = first.batches;
  padding_ = first.padding;
  rate_ = schedule_of(o, steps_per_epoch_ * o.epochs);
  say(
      fmt::format("{:.1f} million parameters; {} batches an epoch, {:.1f}% of their places are"
                  " padding",
                  static_cast<double>(count(learned)) / 1e6, steps_per_epoch_, 100 * padding_));
  if (latest) {
    resume_from(*latest);
  } else {
    std::filesystem::create_directories(o.model);
    log_.emplace(o.model + "/log.jsonl");
  }
}

void TrainingRun::resume_from(const CheckpointFolder::Latest& latest) {
  const Checkpoint& saved = latest.checkpoint;
  const auto digest = saved.metadata.find("digest");
  if (digest == saved.metadata.end() || digest->second != task_->digest()) {
    throw Error(
        fmt::format("cannot resume {}: the data or what is made of them have changed since it was"
                    " begun; use --restart to train anew",
                    options_.model));
  }
  for (const std::string& damage : latest.damaged) say("passed over " + damage);
  state_ = state_of(saved.metadata);
  set_parameters(task_->parameters(), saved.tensors);
  adam_->load(saved.tensors);
  log_.emplace(options_.model + "/log.jsonl", log_of(saved.metadata));
  const std::string text = fmt::format("resumed after {} epochs and {} batches, step {}",
                                       state_.epoch, state_.batch, state_.step);
  say(text);
  log_->add(Note{state_.step, text});
}

void TrainingRun::save_checkpoint(bool best) {
  NamedTensors all = named(task_->parameters());
  for (auto& entry : adam_->state()) all.push_back(std::move(entry));
  std::map<std::string, std::string> metadata = metadata_of(state_, options_.chosen, *log_);
  metadata["digest"] = task_->digest();
  checkpoints_.save(state_.step, all, metadata, best);
  saved_ = Clock::now();
}

void TrainingRun::describe(const DevScores& dev) const {
  nlohmann::ordered_json run;
  run["program"] = options_.program;
  run["rapt"] = version();
  run["epoch"] = state_.epoch;
  run["step"] = state_.step;
  run["seconds"] = state_.seconds;
  run["scores"]["loss"] = dev.loss;
  for (const Score& score : dev.scores) run["scores"][score.name] = score.value;
  run["options"] = nlohmann::ordered_json::object();
  for (const auto& [name, value] : options_.chosen) run["options"][name] = value;
  write_file_atomically(options_.model + "/training.json", run.dump(2) + "\n");
}

void TrainingRun::say(const std::string& text) const {
  if (!options_.quiet) print_message(text);
}

void TrainingRun::tell(Progress& progress, const std::string& text) {
  if (!options_.quiet) progress.message(text);
  log_->add(Note{state_.step, text});
}

void TrainingRun::skip(const Batch& batch, Key key, double loss, Progress& progress) {
  const std::string path = save_nonfinite(*task_,
                                          {.batch = batch,
                                           .step = state_.step,
                                           .key = key,
                                           .settings = task_->settings(),
                                           .loss = loss,
                                           .gradient_norm = adam_->last_norm()},
                                          options_.model);
  ++state_.skipped;
  const std::string what = fmt::format(
      "step {}: the loss is {}, the norm of the gradient {}; the batch is kept, to be looked at by:"
      " {} replay {} --model {}",
      state_.step, shown(loss), shown(adam_->last_norm()), options_.program, path, options_.model);
  if (state_.skipped > options_.skip_nonfinite) {
    log_->add(Note{state_.step, what});
    throw Error(fmt::format("{}\nstopped: {} such batches in a row", what, state_.skipped));
  }
  tell(progress, fmt::format("{}; skipped, {} in a row of at most {}", what, state_.skipped,
                             options_.skip_nonfinite));
}

void TrainingRun::update(const Batch& batch, Progress& progress) {
  const auto begin = Clock::now();
  const Key key = Key{options_.seed}.fold(static_cast<std::uint64_t>(state_.step));
  const Tape tape(Training{key});
  const Var loss = task_->loss(batch);
  adam_->lr(rate_(state_.step));
  const bool taken = adam_->step(loss);
  if (taken) {
    state_.skipped = 0;
    ++state_.taken;
    state_.loss_sum += loss.item();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    state_.seconds += seconds;
    state_.means.add(loss.item(), batch.units, adam_->last_norm(), seconds);
  } else {
    skip(batch, key, loss.item(), progress);
  }
  ++state_.batch;
  ++state_.step;
  if (state_.step % options_.log_every == 0 && state_.means.steps > 0) {
    log_->add(state_.means.take(state_.step, adam_->lr(), state_.seconds));
  }
}

bool TrainingRun::run_epoch(Progress& progress) {
  const Epoch epoch = task_->epoch(state_.epoch);
  if (epoch.batches != steps_per_epoch_) {
    throw Error(fmt::format("epoch {} has {} batches, the first had {}", state_.epoch + 1,
                            epoch.batches, steps_per_epoch_));
  }
  Prefetch<Batch> ready(4, [&, next = state_.batch]() mutable -> std::optional<Batch> {
    if (next == epoch.batches) return std::nullopt;
    return epoch.make(next++);
  });
  padding_ = epoch.padding;
  units_ = 0;
  const auto begin = Clock::now();
  while (!interrupted()) {
    const std::optional<Batch> batch = ready.next();
    if (!batch) break;
    update(*batch, progress);
    if (std::chrono::duration<double>(Clock::now() - saved_).count() >=
        60 * options_.checkpoint_minutes) {
      save_checkpoint();
    }
    units_ += batch->units;
    progress.count(batch->units);
    progress.update(state_.step, {{"loss", state_.loss_sum / static_cast<double>(state_.taken)}});
  }
  seconds_ = std::chrono::duration<double>(Clock::now() - begin).count();
  return !interrupted();
}

void TrainingRun::keep_checkpoint(Progress& progress) {
  const auto name = [](std::int64_t epoch) {
    return fmt::format("epoch-{:04}.safetensors", epoch);
  };
  task_->save(options_.model, name(state_.epoch));
  const std::int64_t old = state_.epoch - options_.keep;
  if (old >= 1) std::filesystem::remove(options_.model + "/" + name(old));
  tell(progress, fmt::format("kept {}/{}", options_.model, name(state_.epoch)));
}

Score TrainingRun::chosen_score(const DevScores& dev) const {
  if (options_.best_by == "loss") return {"loss", dev.loss, false};
  for (const Score& score : dev.scores) {
    if (small(score.name) == options_.best_by) return score;
  }
  throw Error(fmt::format("the dev set has no score '{}'", options_.best_by));
}

bool TrainingRun::end_epoch(Progress& progress) {
  const DevScores dev = task_->measure();
  if (!std::isfinite(dev.loss)) {
    throw Error(fmt::format("the dev loss became {} in epoch {}", dev.loss, state_.epoch + 1));
  }
  const Score chosen = chosen_score(dev);
  const bool better =
      state_.best_epoch == 0 ||
      (chosen.higher_is_better ? chosen.value > state_.best : chosen.value < state_.best);
  const double train_loss = state_.loss_sum / static_cast<double>(state_.taken);
  ++state_.epoch;
  state_.batch = state_.taken = 0;
  state_.loss_sum = 0;
  if (better) {
    state_.best = chosen.value;
    state_.best_epoch = state_.epoch;
    task_->save(options_.model, "model.safetensors");
    describe(dev);
  }
  if (state_.means.steps > 0) {
    log_->add(state_.means.take(state_.step, adam_->lr(), state_.seconds));
  }
  log_->add(DevLine{.step = state_.step, .loss = dev.loss, .scores = dev.scores});
  std::string scores;
  for (const Score& score : dev.scores) {
    scores += fmt::format(", dev {} {:.2f}", score.name, score.value);
  }
  tell(
      progress,
      fmt::format(
          "epoch {}: train loss {:.4f}, dev loss {:.4f} (perplexity {:.2f}){}, learning rate"
          " {:.2e}, {:.0f} {}/s, {:.1f}% padding, {:.1f} minutes{}",
          state_.epoch, train_loss, dev.loss, std::exp(dev.loss), scores, adam_->lr(),
          static_cast<double>(units_) / seconds_, options_.unit, 100 * padding_,
          state_.seconds / 60,
          better ? fmt::format("; best so far by {}, saved to {}", options_.best_by, options_.model)
                 : fmt::format("; epoch {} was {}, not saved", state_.best_epoch,
                               chosen.value == state_.best ? "as good" : "better")));
  if (options_.keep > 0) keep_checkpoint(progress);
  const std::int64_t waited = state_.epoch - state_.best_epoch;
  const bool patient = options_.patience == 0 || waited < options_.patience;
  if (!patient) {
    tell(progress,
         fmt::format("stopped early: no better {} in {} epochs", options_.best_by, waited));
  }
  state_.finished = !patient || state_.epoch == options_.epochs;
  save_checkpoint(better);
  write_report();
  return !state_.finished;
}

void TrainingRun::write_report() {
  if (options_.report.empty()) return;
  write_run_report(options_.report, *task_, *log_,
                   {.model = options_.model,
                    .unit = options_.unit,
                    .best_epoch = state_.best_epoch,
                    .epochs = state_.epoch});
}

void TrainingRun::run() {
  if (options_.catch_interrupt) interrupt_.emplace();
  {
    // Output to a closed descriptor is lost without an error.
    Progress progress(steps_per_epoch_ * options_.epochs, "train",
                      {.fd = options_.quiet ? -1 : 2, .start = state_.step, .unit = options_.unit});
    while (run_epoch(progress) && end_epoch(progress)) {
    }
    if (!state_.finished) save_checkpoint();
  }
  interrupt_.reset();
  if (!state_.finished) {
    say(fmt::format("stopped by Ctrl-C after {} epochs and {} batches; the same command goes on",
                    state_.epoch, state_.batch));
  }
  if (state_.best_epoch == 0) {
    task_->save(options_.model, "model.safetensors");
    say(fmt::format("the model, not measured yet, is saved to {}", options_.model));
    return;
  }
  say(fmt::format("best dev {} {:.4f}, of epoch {}, after {:.1f} minutes; {} plans for {} steps",
                  options_.best_by, state_.best, state_.best_epoch, state_.seconds / 60,
                  Executor::current().counters().plans_made, state_.step));
}

int run_training(const TrainingOptions& options,
                 const std::function<std::unique_ptr<Task>()>& make) {
  Executor executor({.threads = options.threads});
  const Executor::Use use(executor);
  TrainingRun(options, make).run();
  return 0;
}

}  // namespace rapt::tasks
