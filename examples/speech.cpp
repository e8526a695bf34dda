// Trains a speech recogniser on recordings, recognises speech with it, and counts its errors. The
// model is a Transformer over log-mel features with a CTC head. A list says what was spoken in
// which files.
//
//   speech train --train train.tsv --dev dev.tsv --audio recordings --model DIR
//   speech decode --model DIR --list test.tsv --audio recordings > test.out
//   speech score --reference test.tsv < test.out
//   speech average --model DIR --last 5 --output MEAN
//   speech replay DIR/nonfinite-STEP.safetensors --model DIR
//
// A list has one line per utterance, with five columns separated by tabs. They are the name, the
// speaker, the words, the files to join, and the samples of silence between them. The last one is
// "-" for a single file.
//
// Expected output of `score` when all words are right:
//
//   WER 0.00% (0 substitutions, 0 deletions, 0 insertions, 12 words)
//   CER 0.00% (0 substitutions, 0 deletions, 0 insertions, 52 characters)
//   100.00% of 4 utterances are exactly right
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "examples/command_line/fields.hpp"
#include "examples/command_line/program.hpp"
#include "examples/command_line/training_options.hpp"
#include "examples/speech/options.hpp"
#include "tasks/speech/speech_fields.hpp"

namespace {

using namespace rapt::examples;
using namespace rapt::tasks;

const std::string list_kinds =
    "columns with tabs, JSON lines, or a folder of Kaldi's files wav.scp and text";

CLI::App* add_train(CLI::App& app, SpeechOptions& o) {
  CLI::App* command = app.add_subcommand("train", "learn from recordings and their words");
  command->footer(
      "Example:\n"
      "  speech train --train train.tsv --dev dev.tsv --audio recordings --keep 5 --model DIR");
  begin_group(command, "Data");
  command->add_option("--train", o.train, "list of utterances; " + list_kinds)->required();
  command->add_option("--dev", o.dev, "list of held-out utterances")->required();
  command->add_option("--audio", o.audio, "folder of the recordings that have no absolute path")
      ->capture_default_str();
  command->add_flag("--skip-bad", o.skip_bad,
                    "leave out lines and recordings that cannot be used, and count them");
  command->add_flag("--mix-channels", o.mix_channels, "take the mean of several channels");
  const auto add = adder(command);
  add("--resample", o.resample,
      "convert recordings to so many samples a second; 0: all have to have the first one's rate")
      ->check(not_negative);
  add("--max-seconds", o.max_seconds, "longer utterances are an error, or skipped")
      ->check(positive);
  add("--batch-frames", o.batch_frames, "most frames of features a step, with padding")
      ->check(positive);
  begin_group(command, "Text");
  add("--tokens", o.tokens, "words, characters or sentencepiece")
      ->check(CLI::IsMember({"words", "characters", "sentencepiece"}));
  command->add_flag("--lower", o.lower, "lower-case the words");
  add("--vocab", o.vocab, "most tokens")->check(between(5, 1 << 24));
  add("--min-count", o.min_count, "rarer words or characters become <unk>")->check(positive);
  begin_group(command, "Model");
  CommandLine net(command, "", {{"features", "--mels"}, {"encoder_layers", "--layers"}}),
      bank(command, "", {{"window_kind", "--window"}});
  fields(net, o.net);
  fields(bank, o.bank);
  add("--dropout", o.dropout, "of attention and layers")->check(share);
  add("--label-smoothing", o.label_smoothing, "what the target gives to all tokens evenly")
      ->check(share);
  add("--ctc-weight", o.ctc_weight, "of CTC in the loss; the rest is the decoder's")->check(share);
  begin_group(command, "Augmentation");
  AugmentOptions& a = o.augment;
  add("--mix", a.mix, "share of utterances put together anew, from recordings drawn at random")
      ->check(share);
  add("--mix-speakers", a.mix_speakers, "share of these where each recording may be anyone's")
      ->check(share);
  add("--mix-single", a.mix_single, "share of these that are one recording alone")->check(share);
  add("--speed", a.speed, "recordings are played up to 1 + this times as fast or slow")
      ->check(between(0.0, 1.0));
  add("--cut", a.cut, "one recording in two loses up to this share of its end")
      ->check(between(0.0, 0.9));
  add("--level", a.level,
      "decibels by which recordings, brought to one level, are louder or softer")
      ->check(not_negative);
  add("--vtlp", a.vtlp, "share by which frequencies are warped")->check(between(0.0, 0.5));
  add("--noise", a.noise, "share of utterances with noise")->check(share);
  add("--noise-low", a.noise_low, "decibels of the loudest noise below the utterance");
  add("--noise-high", a.noise_high, "and of the softest");
  add("--frequency-masks", a.masks.frequency_masks, "bands of frequencies left out")
      ->check(not_negative);
  add("--frequency-width", a.masks.frequency_width, "the widest")->check(not_negative);
  add("--time-masks", a.masks.time_masks, "stretches of time left out")->check(not_negative);
  add("--time-width", a.masks.time_width, "the longest, in frames")->check(not_negative);
  add("--time-share", a.masks.time_share, "and at most this share of the utterance")->check(share);
  add_training_options(command, o.training, {"wer", "cer"}, {"--train", "--dev", "--audio"});
  return command;
}

CLI::App* add_decode(CLI::App& app, SpeechDecodeOptions& o) {
  CLI::App* command = app.add_subcommand("decode", "recognise the utterances of a list");
  command->footer(
      "Example:\n  speech decode --model DIR --list test.tsv --audio recordings > test.out");
  command->add_option("--model", o.model, "folder of a trained model")->required();
  command->add_option("--list", o.list, "list of utterances, with words or without; " + list_kinds)
      ->required();
  command->add_option("--audio", o.audio, "folder of the recordings that have no absolute path")
      ->capture_default_str();
  command->add_flag("--skip-bad", o.skip_bad,
                    "leave out lines and recordings that cannot be used, and count them");
  command->add_flag("--mix-channels", o.mix_channels, "take the mean of several channels");
  command->add_flag("--resample", o.resample, "convert recordings to the model's rate");
  const auto add = adder(command);
  add("--beam", o.search.beam, "hypotheses that are followed; 1: greedy")->check(positive);
  add("--ctc-weight", o.search.ctc_weight, "of CTC in the scores; the rest is the decoder's")
      ->check(share);
  add("--length-penalty", o.search.length_penalty, "scores are divided by length to this power")
      ->check(not_negative);
  add("--batch-frames", o.batch_frames, "frames at a time, with padding")->check(positive);
  add("--threads", o.threads, "0: all cores")->check(not_negative);
  return command;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Learns to recognise speech, recognises it, and counts the errors.", "speech");
  app.require_subcommand(1);
  SpeechOptions train_options;
  SpeechDecodeOptions decode_options;
  SpeechScoreOptions score_options;
  AverageOptions average_options;
  ReplayOptions replay_options;
  const CLI::App* train_command = add_train(app, train_options);
  const CLI::App* decode_command = add_decode(app, decode_options);
  CLI::App* score_command =
      app.add_subcommand("score", "error rates of standard input: an utterance, a tab, its words");
  score_command->footer("Example:\n  speech score --reference test.tsv < test.out");
  score_command->add_option("--reference", score_options.reference, "list of utterances")
      ->required();
  add_average(app, average_options);
  add_replay(app, replay_options);
  std::string model;
  add_info(app, model);
  return run_program("speech", app, argc, argv, [&] {
    if (train_command->parsed()) {
      finish_training_options(train_command, train_options.training);
      return train(train_options);
    }
    if (decode_command->parsed()) return decode(decode_options);
    if (score_command->parsed()) return score(score_options);
    if (app.got_subcommand("info")) {
      fmt::print("{}", speech_info(model));
      return 0;
    }
    if (app.got_subcommand("average")) return average(average_options);
    return replay(replay_options);
  });
}
