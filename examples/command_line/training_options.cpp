#include "examples/command_line/training_options.hpp"

#include <fmt/format.h>

#include "examples/command_line/program.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

/// Returns the names of the options that a command has so far, except --help.
RunOptions names_of(const CLI::App* command) {
  RunOptions names;
  for (const CLI::Option* option : command->get_options()) {
    if (option != command->get_help_ptr()) names.emplace_back(option->get_name(), "");
  }
  return names;
}

}  // namespace

void begin_group(CLI::App* command, const char* title) { command->option_defaults()->group(title); }

void add_training_options(CLI::App* command, TrainingOptions& o, std::vector<std::string> best_by,
                          std::vector<std::string> paths) {
  begin_group(command, "Training");
  const auto add = adder(command);
  add("--epochs", o.epochs, "passes over the data; 0: no limit, as with --max-steps alone")
      ->check(not_negative);
  add("--max-steps", o.max_steps, "the most steps; 0: no limit")->check(not_negative);
  add("--max-hours", o.max_hours, "the most hours of training; 0: no limit")->check(not_negative);
  add("--measure-every", o.measure_every,
      "steps after which dev is measured and the model is saved; 0: after each epoch")
      ->check(not_negative);
  add("--lr", o.lr, "peak learning rate, reached after warm-up")->check(positive);
  add("--schedule", o.schedule, "after it: cosine (to 0 at the last step), inverse-sqrt, constant")
      ->check(CLI::IsMember({"cosine", "inverse-sqrt", "constant"}));
  command
      ->add_option("--warmup", o.warmup,
                   "steps of warm-up; if it is not given: 500, but at most a tenth of all steps")
      ->check(not_negative);
  add("--beta2", o.beta2, "Adam's second decay rate")->check(share);
  add("--weight-decay", o.weight_decay, "decoupled, of matrices")->check(not_negative);
  add("--clip-norm", o.clip_norm, "the most that the gradient's norm may be")->check(positive);
  best_by.insert(best_by.begin(), "loss");
  add("--best-by", o.best_by, "what chooses the model that is saved, of dev")
      ->check(CLI::IsMember(best_by));
  add("--patience", o.patience, "stop after as many measures without a better one; 0: never")
      ->check(not_negative);
  add("--seed", o.seed, "of weights, order and dropout");
  command->add_option("--init-from", o.init_from,
                      "folder of a model to start from, with a new optimizer; its options and its"
                      " tokens are taken over, whatever is given here");
  o.chosen = names_of(command);
  o.free = std::move(paths);
  for (const char* limit : {"--epochs", "--max-steps", "--max-hours", "--patience"}) {
    o.free.emplace_back(limit);
  }
  o.free.emplace_back("--init-from");  // its digest decides
  begin_group(command, "Output");
  command->add_option("--model", o.model, "folder for the model")->required();
  add("--keep", o.keep, "keep the models of so many last measures")->check(not_negative);
  add("--threads", o.threads, "0: all cores")->check(not_negative);
  add("--checkpoint-minutes", o.checkpoint_minutes, "how often to save all that a stop would lose")
      ->check(not_negative);
  add("--log-every", o.log_every, "steps between lines of the log")->check(positive);
  add("--skip-nonfinite", o.skip_nonfinite,
      "batches in a row whose loss or gradient may be NaN or infinite: they are skipped")
      ->check(not_negative);
  add("--report", o.report, "folder for a page with curves and samples");
  command->add_flag("--quiet", o.quiet,
                    "print warnings and errors only; the log is written anyway");
  CLI::Option* resume =
      command->add_flag("--resume")
          ->description("go on with a run (so it is anyway), or fail if there is none");
  command->add_flag("--restart")
      ->description("begin anew, and remove the run that is there")
      ->excludes(resume);
  command->add_flag("--overwrite", o.overwrite, "begin anew, and replace what is there")
      ->excludes(resume);
  add_config(command);
}

void add_average(CLI::App& app, AverageOptions& o) {
  CLI::App* command = app.add_subcommand("average", "make one model of several checkpoints");
  command->footer("Example:\n  " + app.get_name() + " average --model DIR --last 5 --output MEAN");
  command->add_option("--model", o.model, "folder of a model trained with --keep")->required();
  command->add_option("--output", o.output, "folder for the mean")->required();
  command->add_option("--checkpoint", o.checkpoints, "files of the folder; else the last ones");
  adder(command)("--last", o.last, "how many")->check(positive);
  command->add_flag("--overwrite", o.overwrite, "replace a model in the folder of --output");
}

void add_info(CLI::App& app, std::string& model) {
  CLI::App* command = app.add_subcommand("info", "print what a model is and how it was trained");
  command->footer("Example:\n  " + app.get_name() + " info DIR");
  command->add_option("model", model, "folder of the model")->required();
}

void add_replay(CLI::App& app, ReplayOptions& o) {
  CLI::App* command =
      app.add_subcommand("replay", "look at a batch whose loss or gradient was not finite");
  command->footer("Example:\n  " + app.get_name() +
                  " replay DIR/nonfinite-000000123.safetensors --model DIR");
  command->add_option("batch", o.batch, "the file that training has kept")->required();
  command->add_option("--model", o.model, "folder of the model")->required();
  adder(command)("--threads", o.threads, "0: all cores")->check(not_negative);
}

void finish_training_options(const CLI::App* command, TrainingOptions& o) {
  if (command->get_option("--resume")->count() > 0) o.resume = Resume::required;
  if (command->get_option("--restart")->count() > 0) o.resume = Resume::restart;
  // Steps are the only limit, unless a number of epochs is given too.
  if (o.max_steps > 0 && command->get_option("--epochs")->count() == 0) o.epochs = 0;
  for (auto& [name, value] : o.chosen) {
    value = fmt::format("{}", fmt::join(values_of(*command->get_option(name)), " "));
  }
  o.config = config_of(command, {"--resume", "--restart", "--overwrite"});
}

}  // namespace rapt::examples
