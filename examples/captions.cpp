// Trains an image captioner, captions pictures with it, and scores captions. A small convolutional
// encoder, trained from scratch, turns a picture into a grid of vectors. A GRU with soft attention
// or a Transformer decoder writes a caption from this grid.
//
//   captions train --train train.tsv --dev dev.tsv --images PHOTOS --lower --strip-punctuation
//       --flip --keep 5 --model DIR
//   captions average --model DIR --last 5 --output MEAN
//   captions decode --model MEAN --images PHOTOS --list test.tsv --attention looks.jsonl > out.tsv
//   captions score --reference test.tsv --lower --strip-punctuation < out.tsv
//
// Pictures are JPEG and PNG files in a folder, or one file of raw pictures. A list has one line per
// caption: image and caption, separated by a tab. It may have more columns, which
// common/captions/caption_data.hpp describes.
//
// Expected output of `score` when all captions are right:
//
//   captions = 2, references = 2
//   BLEU-1 = 100.00
//   ...
//   exact match = 100.00%
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "examples/captions/options.hpp"
#include "examples/command_line/fields.hpp"
#include "examples/command_line/program.hpp"
#include "examples/command_line/training_options.hpp"
#include "tasks/captions/caption_fields.hpp"

namespace {

using namespace rapt::examples;
using namespace rapt::tasks;

void add_augmentation(CLI::App* command, Augmentation& a) {
  const auto add = adder(command);
  command->add_flag("--flip", a.flip,
                    "flip one picture in two, with the words left and right of its captions; none"
                    " whose list has objects side by side");
  add("--rotate", a.rotate, "turn pictures by up to so many degrees")->check(not_negative);
  add("--zoom", a.zoom, "scale pictures by up to this share")->check(share);
  add("--scale", a.scale, "scale each side for itself by up to this share")->check(share);
  add("--shift", a.shift, "move pictures by up to this share of their sides")->check(share);
  add("--shear", a.shear, "shear pictures by up to this share")->check(share);
  add("--bend", a.bend, "bend pictures: places move by up to this share of the sides")
      ->check(share);
  add("--contrast", a.contrast, "change contrast by up to this share")->check(share);
  add("--brightness", a.brightness, "change brightness by up to this share")->check(share);
  add("--tint", a.tint, "share of pictures shown in the shades of one colour, see --tint-words")
      ->check(share);
  add("--gamma", a.gamma, "raise values to a power whose logarithm is up to this")
      ->check(not_negative);
  add("--colour", a.colour, "change red, green and blue by up to this share")->check(share);
  add("--erase", a.erase, "paint over rectangles whose sides are up to this share of a picture's")
      ->check(share);
  add("--erase-count", a.erase_count, "so many of them")->check(not_negative);
}

CLI::App* add_train(CLI::App& app, CaptionOptions& o) {
  CLI::App* command = app.add_subcommand("train", "learn from pictures with captions");
  command->footer(
      "Example:\n"
      "  captions train --train train.tsv --dev dev.tsv --images PHOTOS --lower --keep 5 --model "
      "DIR");
  begin_group(command, "Data");
  command->add_option("--train", o.train, "list of pictures and captions")->required();
  command->add_option("--dev", o.dev, "list of held-out ones")->required();
  command->add_option("--images", o.images, "folder of JPEG and PNG, or file of raw pictures")
      ->required();
  command->add_option("--dev-images", o.dev_images, "the same for --dev, if it is another");
  const auto add = adder(command);
  add("--size", o.size, "pictures are resized to it: HEIGHTxWIDTH or one number");
  command->add_option("--raw-size", o.raw_size, "of raw pictures; else as --size");
  command->add_flag("--skip-bad", o.skip_bad,
                    "leave out and count what is wrong in a list or a"
                    " picture, instead of stopping");
  add("--box-size", o.box_size, "pixels that the sides of the list's objects have")
      ->check(positive);
  CommandLine words(command, "");
  fields(words, o.how);
  add("--vocab", o.vocab, "most words")->check(between(5, 1 << 24));
  add("--min-count", o.min_count, "rarer words become <unk>")->check(positive);
  add("--max-words", o.max_words, "longer captions are skipped")->check(positive);
  begin_group(command, "Model");
  add("--channels", o.channels, "of the encoder's stages, each halving the picture's sides");
  add("--blocks", o.blocks, "residual blocks of each stage");
  CommandLine image(command, "", {{"memory", ""}});
  fields(image, o.gru.image);
  add("--arch", o.arch, "gru or transformer")->check(CLI::IsMember({"gru", "transformer"}));
  CommandLine gru(command, "gru: ", {{"groups", ""}}),
      transformer(command, "transformer: ", {{"decoder_width", "--width"}});
  fields(gru, o.gru);
  fields(transformer, o.decoder);
  begin_group(command, "Batches and augmentation");
  add("--batch", o.batch, "pictures a step")->check(positive);
  add("--captions", o.captions, "captions of a picture a step, drawn anew each epoch; 0: all")
      ->check(not_negative);
  add_augmentation(command, o.augmentation);
  add("--tint-words", o.tint_words,
      "words that a picture shown in one colour says nothing of: neither read nor learned there");
  add("--dropout", o.dropout, "of embeddings, readout, attention and layers")->check(share);
  add("--grid-dropout", o.grid_dropout, "of the grid's vectors")->check(share);
  add("--word-dropout", o.word_dropout, "share of the words read that become <unk>")->check(share);
  add("--label-smoothing", o.label_smoothing, "what the target gives to all words evenly")
      ->check(share);
  add("--words-loss", o.words_loss,
      "weight of a second loss: the encoder says alone which words a picture's captions have")
      ->check(not_negative);
  add("--guide", o.guide,
      "weight of a third: words look at the boxes that the list gives them (Liu et al. 2017)")
      ->check(not_negative);
  add_training_options(command, o.training, {"bleu-4", "cider-d", "exact"},
                       {"--train", "--dev", "--images", "--dev-images"});
  return command;
}

void add_decode(CLI::App& app, DecodeCaptionOptions& o) {
  CLI::App* command = app.add_subcommand("decode", "say what the pictures of a list show");
  command->footer(
      "Example:\n  captions decode --model DIR --images PHOTOS --list test.tsv > out.tsv");
  command->add_option("--model", o.models, "folder of a trained model; several: an ensemble")
      ->required();
  command->add_option("--images", o.images, "folder of JPEG and PNG, or file of raw pictures")
      ->required();
  command->add_option("--raw-size", o.raw_size, "of raw pictures; else as the model's");
  command->add_option("--list", o.list, "list of pictures; its captions are not read")->required();
  command->add_flag("--skip-bad", o.skip_bad, "leave out and count what is wrong");
  command->add_option("--attention", o.attention,
                      "file for what each word looked at, as JSON lines; of the first model");
  const auto add = adder(command);
  add("--beam", o.beam, "hypotheses that are followed; 1: greedy")->check(positive);
  add("--length-penalty", o.length_penalty, "scores are divided by length to this power")
      ->check(not_negative);
  add("--max-length", o.max_length, "the most words of a caption")->check(positive);
  command->add_flag("--shuffle-images", o.shuffle_images,
                    "give every name another one's picture, to see what looking is worth");
  add("--seed", o.seed, "of the shuffling");
  add("--batch", o.batch, "pictures at a time")->check(positive);
  add("--threads", o.threads, "0: all cores")->check(not_negative);
}

void add_score(CLI::App& app, ScoreCaptionOptions& o) {
  CLI::App* command = app.add_subcommand("score", "score the captions of standard input");
  command->footer("Example:\n  captions score --reference test.tsv --lower < out.tsv");
  command->add_option("--reference", o.reference, "list of right captions")->required();
  command->add_flag("--lower", o.lower, "letter case does not count");
  command->add_flag("--strip-punctuation", o.strip_punctuation, "ASCII punctuation neither");
  command->add_flag("--skip-bad", o.skip_bad, "leave out and count what is wrong in the list");
  command->add_option("--attention", o.attention,
                      "what decode has written: also say how often words look at their objects");
  adder(command)("--box-size", o.box_size, "of the list's objects, in pixels")->check(positive);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Learns to say what pictures show, says it, and scores what was said.", "captions");
  app.require_subcommand(1);
  CaptionOptions train_options;
  DecodeCaptionOptions decode_options;
  ScoreCaptionOptions score_options;
  AverageOptions average_options;
  ReplayOptions replay_options;
  const CLI::App* train_command = add_train(app, train_options);
  add_decode(app, decode_options);
  add_score(app, score_options);
  add_average(app, average_options);
  add_replay(app, replay_options);
  std::string model;
  add_info(app, model);
  return run_program("captions", app, argc, argv, [&] {
    if (train_command->parsed()) {
      finish_training_options(train_command, train_options.training);
      return train(train_options);
    }
    if (app.got_subcommand("decode")) return decode(decode_options);
    if (app.got_subcommand("score")) return score(score_options);
    if (app.got_subcommand("info")) {
      fmt::print("{}", caption_info(model));
      return 0;
    }
    if (app.got_subcommand("average")) return average(average_options);
    return replay(replay_options);
  });
}
