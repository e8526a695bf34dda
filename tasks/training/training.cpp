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
#include "tasks/model_files/model_file.hpp"
#include "tasks/training/nonfinite.hpp"
#include "tasks/training/run_folder.hpp"
#include "tasks/training/run_report.hpp"

namespace rapt::tasks {
namespace {

std::string small(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

constexpr std::int64_t usual_warmup = 500;

/// Returns the options that change what is learned.
RunOptions learning_options(const TrainingOptions& o) {
  return {{"epochs", std::to_string(o.epochs)},
          {"max_steps", std::to_string(o.max_steps)},
          {"max_hours", fmt::format("{}", o.max_hours)},
          {"measure_every", std::to_string(o.measure_every)},
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

/// Throws Error for options that mean nothing, alone or together.
void expect_sense(const TrainingOptions& o) {
  const bool cosine = o.schedule == "cosine";
  if (!cosine && o.schedule != "inverse-sqrt" && o.schedule != "constant") {
    throw Error(fmt::format("'{}' is no schedule: there are cosine, inverse-sqrt and constant",
                            o.schedule));
  }
  if (o.epochs <= 0 && o.max_steps <= 0 && o.max_hours <= 0 && o.patience <= 0) {
    throw Error(
        "the run would have no end: limit it by epochs, steps or hours (--epochs, --max-steps, "
        "--max-hours)");
  }
  if (cosine && o.epochs <= 0 && o.max_steps <= 0) {
    throw Error("the schedule cosine needs a limit of epochs or steps (--epochs, --max-steps)");
  }
}

schedules::Schedule schedule_of(const TrainingOptions& o, std::int64_t warmup, std::int64_t steps) {
  if (o.schedule == "cosine") return schedules::cosine(o.lr, warmup, steps);
  if (o.schedule == "inverse-sqrt") return schedules::warmup_inverse_sqrt(o.lr, warmup);
  return schedules::constant(o.lr);
}

}  // namespace

TrainingRun::TrainingRun(TrainingOptions options,
                         const std::function<std::unique_ptr<Task>()>& make)
    : options_(std::move(options)), checkpoints_(options_.model + "/checkpoints", 2) {
  const TrainingOptions& o = options_;
  if (o.chosen.empty()) {
    options_.chosen = learning_options(o);
    options_.free = {"epochs", "max_steps", "max_hours", "patience"};
  }
  // First, because it may throw and making the task may take long.
  const auto latest = prepare();
  task_ = make();
  const std::vector<Parameter> learned = task_->parameters();
  adam_.emplace(
      decay_matrices_only(learned),
      AdamOptions{
          .lr = o.lr, .beta2 = o.beta2, .weight_decay = o.weight_decay, .clip_norm = o.clip_norm});
  digest_ = task_->digest();
  if (!o.init_from.empty()) {
    const std::string path = o.init_from + "/model.safetensors";
    digest_ += "-" + digest_of_file(path);
    if (!latest) set_parameters(learned, load_safetensors(path).tensors);
  }
  const Epoch first = task_->epoch(0);
  steps_per_epoch_ = first.batches;
  if (steps_per_epoch_ < 1) throw Error("the data have no batches");
  padding_ = first.padding;
  say(
      fmt::format("{:.1f} million parameters; {} batches an epoch, {:.1f}% of their places are"
                  " padding",
                  static_cast<double>(count(learned)) / 1e6, steps_per_epoch_, 100 * padding_));
  if (latest) {
    resume_from(*latest);
  } else {
    begin();
  }
  if (!o.config.empty()) write_file_atomically(o.model + "/options.toml", o.config);
}

std::optional<CheckpointFolder::Latest> TrainingRun::prepare() {
  const TrainingOptions& o = options_;
  expect_sense(o);
  // A folder where nothing may be begun is left as it is, without a lock.
  const bool any = !checkpoints_.steps().empty();
  if (!any && !o.overwrite) expect_no_model(o.model);
  if (!any && o.resume == Resume::required) {
    throw Error(fmt::format("{} holds no run to resume", o.model));
  }
  checkpoints_.claim();
  sweep_unfinished(o.model);
  expect_writable(o.model + "/model.safetensors");
  if (!o.report.empty()) {
    std::filesystem::create_directories(o.report);
    expect_writable(o.report + "/index.html");
  }
  return checkpoint_to_resume(checkpoints_, o.model, o.chosen,
                              o.overwrite ? Resume::restart : o.resume, o.free);
}

void TrainingRun::schedule() {
  const TrainingOptions& o = options_;
  last_step_ = o.epochs > 0 ? steps_per_epoch_ * o.epochs : 0;
  if (o.max_steps > 0)
    last_step_ = last_step_ > 0 ? std::min(last_step_, o.max_steps) : o.max_steps;
  // A run that goes on has the warm-up that it was begun with, also if its limits have grown.
  if (state_.warmup < 0) {
    state_.warmup = o.warmup >= 0     ? o.warmup
                    : last_step_ == 0 ? usual_warmup
                                      : std::min(usual_warmup, (last_step_ + 9) / 10);
  }
  rate_ = schedule_of(o, state_.warmup, last_step_);
}

void TrainingRun::begin() {
  checkpoints_.clear();
  clear_run(options_.model);
  schedule();
  log_.emplace(options_.model + "/log.jsonl");
  if (options_.warmup < 0 && state_.warmup < usual_warmup && options_.schedule != "constant") {
    const std::string text =
        fmt::format("{} steps of warm-up, a tenth of {}", state_.warmup, last_step_);
    say(text);
    log_->add(Note{0, text});
  }
  // From now on there is a run to go on with, whatever happens.
  save_checkpoint();
}

void TrainingRun::resume_from(const CheckpointFolder::Latest& latest) {
  const Checkpoint& saved = latest.checkpoint;
  const auto digest = saved.metadata.find("digest");
  if (digest == saved.metadata.end() || digest->second != digest_) {
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
  schedule();
  if (state_.finished && (at_limit() || !is_patient())) return;
  if (last_step_ > 0 && state_.step > last_step_) {
    throw Error(fmt::format("cannot resume {}: it has {} steps already, more than the limit of {}",
                            options_.model, state_.step, last_step_));
  }
  state_.finished = false;
  const std::string text = fmt::format("resumed after {} epochs and {} batches, step {}",
                                       state_.epoch, state_.batch, state_.step);
  say(text);
  log_->add(Note{state_.step, text});
}

void TrainingRun::save_checkpoint(bool best) {
  NamedTensors all = named(task_->parameters());
  for (auto& entry : adam_->state()) all.push_back(std::move(entry));
  std::map<std::string, std::string> metadata = metadata_of(state_, options_.chosen, *log_);
  metadata["digest"] = digest_;
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

bool TrainingRun::at_limit() const {
  return (last_step_ > 0 && state_.step >= last_step_) ||
         (options_.max_hours > 0 && state_.seconds >= 3600 * options_.max_hours);
}

bool TrainingRun::is_patient() const {
  return options_.patience == 0 || state_.waited < options_.patience;
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
  const bool by_epoch = options_.measure_every == 0;
  while (!interrupted()) {
    const auto begin = Clock::now();
    const std::optional<Batch> batch = ready.next();
    if (!batch) break;
    update(*batch, progress);
    seconds_ += std::chrono::duration<double>(Clock::now() - begin).count();
    units_ += batch->units;
    progress.count(batch->units);
    progress.update(state_.step, {{"loss", state_.loss_sum / static_cast<double>(state_.taken)}});
    const bool due = by_epoch ? at_limit() && state_.batch < steps_per_epoch_
                              : at_limit() || state_.step % options_.measure_every == 0;
    if (due) {
      measure(progress);  // saves a checkpoint too, and none was saved between update and measure
    } else if (std::chrono::duration<double>(Clock::now() - saved_).count() >=
               60 * options_.checkpoint_minutes) {
      save_checkpoint();
    }
    if (state_.finished) return false;
  }
  if (state_.batch < steps_per_epoch_) return false;  // a signal
  ++state_.epoch;
  state_.batch = 0;
  if (by_epoch) measure(progress);
  return !state_.finished && !interrupted();
}

std::string TrainingRun::point(std::int64_t epoch, std::int64_t step) const {
  return options_.measure_every == 0 ? fmt::format("epoch {}", epoch)
                                     : fmt::format("step {}", step);
}

void TrainingRun::keep_model(Progress& progress) {
  const std::string name = options_.measure_every == 0
                               ? fmt::format("epoch-{:04}.safetensors", state_.epoch)
                               : fmt::format("step-{:09}.safetensors", state_.step);
  task_->save(options_.model, name);
  std::vector<std::string> kept = kept_models(options_.model);
  // The name is there already if the run goes on from before this measure.
  std::erase(kept, name);
  kept.push_back(name);
  const std::ptrdiff_t old = std::max<std::ptrdiff_t>(0, std::ssize(kept) - options_.keep);
  set_kept_models(options_.model, {kept.begin() + old, kept.end()});
  tell(progress, fmt::format("kept {}/{}", options_.model, name));
}

Score TrainingRun::chosen_score(const DevScores& dev) const {
  if (options_.best_by == "loss") return {"loss", dev.loss, false};
  for (const Score& score : dev.scores) {
    if (small(score.name) == options_.best_by) return score;
  }
  throw Error(fmt::format("the dev set has no score '{}'", options_.best_by));
}

void TrainingRun::measure(Progress& progress) {
  const std::int64_t epoch = state_.epoch + (state_.batch > 0 ? 1 : 0);
  const std::string here = point(epoch, state_.step);
  const DevScores dev = task_->measure();
  if (!std::isfinite(dev.loss)) {
    throw Error(fmt::format("the dev loss became {} in {}", dev.loss, here));
  }
  const Score chosen = chosen_score(dev);
  const bool better =
      state_.best_epoch == 0 ||
      (chosen.higher_is_better ? chosen.value > state_.best : chosen.value < state_.best);
  const double train_loss = state_.loss_sum / static_cast<double>(state_.taken);
  state_.taken = 0;
  state_.loss_sum = 0;
  ++state_.waited;
  if (better) {
    state_.best = chosen.value;
    state_.best_epoch = epoch;
    state_.best_step = state_.step;
    state_.waited = 0;
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
          "{}: train loss {:.4f}, dev loss {:.4f} (perplexity {:.2f}){}, learning rate"
          " {:.2e}, {:.0f} {}/s, {:.1f}% padding, {:.1f} minutes{}",
          here, train_loss, dev.loss, std::exp(dev.loss), scores, adam_->lr(),
          static_cast<double>(units_) / seconds_, options_.unit, 100 * padding_,
          state_.seconds / 60,
          better ? fmt::format("; best so far by {}, saved to {}", options_.best_by, options_.model)
                 : fmt::format("; {} was {}, not saved", point(state_.best_epoch, state_.best_step),
                               chosen.value == state_.best ? "as good" : "better")));
  units_ = 0;
  seconds_ = 0;
  if (options_.keep > 0) keep_model(progress);
  if (!is_patient()) {
    tell(progress, fmt::format("stopped early: no better {} in {} {}", options_.best_by,
                               state_.waited, options_.measure_every == 0 ? "epochs" : "measures"));
  }
  state_.finished = !is_patient() || at_limit();
  save_checkpoint(better);
  write_report();
}

void TrainingRun::write_report() {
  if (options_.report.empty()) return;
  write_run_report(options_.report, *task_, *log_,
                   {.model = options_.model,
                    .unit = options_.unit,
                    .measured = options_.measure_every == 0 ? "epoch" : "step",
                    .best = options_.measure_every == 0 ? state_.best_epoch : state_.best_step,
                    .all = options_.measure_every == 0 ? state_.epoch : state_.step});
}

int TrainingRun::run() {
  if (state_.finished) {
    say(
        fmt::format("the run in {} is finished: {} epochs and {} steps; there is nothing to do"
                    " (higher limits train it further)",
                    options_.model, state_.epoch, state_.step));
    return 0;
  }
  if (options_.catch_interrupt) interrupt_.emplace();
  {
    // Output to a closed descriptor is lost without an error.
    Progress progress(last_step_, "train",
                      {.fd = options_.quiet ? -1 : 2, .start = state_.step, .unit = options_.unit});
    while (run_epoch(progress)) {
    }
    if (!state_.finished) save_checkpoint();
  }
  const int signal = state_.finished ? 0 : interrupt_->signal();
  if (!state_.finished) {
    say(fmt::format("stopped by {} after {} epochs and {} batches; the same command goes on",
                    interrupt_->cause(), state_.epoch, state_.batch));
  }
  interrupt_.reset();
  if (state_.best_epoch == 0) {
    task_->save(options_.model, "model.safetensors");
    say(fmt::format("the model, not measured yet, is saved to {}", options_.model));
  } else {
    say(fmt::format("best dev {} {:.4f}, of {}, after {:.1f} minutes; {} plans for {} steps",
                    options_.best_by, state_.best, point(state_.best_epoch, state_.best_step),
                    state_.seconds / 60, Executor::current().counters().plans_made, state_.step));
  }
  return signal == 0 ? 0 : 128 + signal;
}

int run_training(const TrainingOptions& options,
                 const std::function<std::unique_ptr<Task>()>& make) {
  Executor executor({.threads = options.threads});
  const Executor::Use use(executor);
  return TrainingRun(options, make).run();
}

}  // namespace rapt::tasks
