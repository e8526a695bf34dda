// Trains a translator on parallel text, translates with it, and scores translations. The model is a
// GRU encoder-decoder with attention or a Transformer. Text has one sentence per line, plain or
// gzip. Its tokens are words, characters or SentencePiece pieces.
//
//   translate train --arch transformer --tokens sentencepiece --joint --source train.de
//       --target train.en --dev-source dev.de --dev-target dev.en --keep 5 --model DIR
//   translate average --model DIR --last 5 --output MEAN
//   translate decode --model MEAN --beam 5 < test.de > test.out
//   translate score --metric bleu chrf --reference test.en < test.out
//   translate info MEAN
//   translate replay DIR/nonfinite-STEP.safetensors --model DIR
//
// Expected output of `score` for a file against itself:
//
//   BLEU = 100.00 (100.0/100.0/100.0/100.0, BP = 1.000, ratio = 1.000, hypothesis 5, reference 5)
//   BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:rapt-1
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "examples/command_line/fields.hpp"
#include "examples/command_line/program.hpp"
#include "examples/command_line/training_options.hpp"
#include "examples/translate/options.hpp"
#include "tasks/translation/translation_fields.hpp"

namespace {

using namespace rapt::examples;
using namespace rapt::tasks;

CLI::App* add_train(CLI::App& app, TranslateOptions& o) {
  CLI::App* command = app.add_subcommand("train", "learn from sentence pairs");
  command->footer(
      "Example:\n"
      "  translate train --arch transformer --tokens sentencepiece --source train.de \\\n"
      "      --target train.en --dev-source dev.de --dev-target dev.en --keep 5 --model DIR");
  begin_group(command, "Data");
  command->add_option("--source", o.source, "source sentences, one a line")->required();
  command->add_option("--target", o.target, "their translations")->required();
  command->add_option("--dev-source", o.dev_source, "held-out sentences")->required();
  command->add_option("--dev-target", o.dev_target, "their translations")->required();
  const auto add = adder(command);
  add("--batch-sentences,--batch", o.batch.sentences,
      "most sentences a step; 0, or with --batch-tokens alone: no limit")
      ->check(not_negative);
  add("--batch-tokens", o.batch.tokens,
      "most tokens a step, of the longer side, with padding; 0: no limit")
      ->check(not_negative);
  begin_group(command, "Text");
  add("--tokens", o.tokens, "words, characters or sentencepiece")
      ->check(CLI::IsMember({"words", "characters", "sentencepiece"}));
  add("--subwords", o.subwords, "how SentencePiece finds pieces: bpe or unigram")
      ->check(CLI::IsMember({"bpe", "unigram"}));
  add("--normalization", o.normalization,
      "SentencePiece: nmt_nfkc brings text to one form first, in which tabs and zero-width "
      "non-joiners"
      " are blanks; identity leaves it as it is")
      ->check(CLI::IsMember({"nmt_nfkc", "identity"}));
  add("--segmentations", o.segmentations,
      "unigram: each epoch cuts a sentence anew, in one of its so many likeliest ways (Kudo 2018)")
      ->check(between(1, 1000));
  add("--segmentation-alpha", o.segmentation_alpha, "0: each is as good, 1: by its likelihood")
      ->check(not_negative);
  command->add_flag("--joint", o.joint, "one vocabulary for both languages");
  command->add_flag("--lower", o.lower, "lower-case both languages");
  add("--vocab", o.vocab, "most tokens of a vocabulary")->check(between(5, 1 << 24));
  command->add_option("--source-vocab", o.source_vocab,
                      "a file source.vocab or source.spm of another model, instead of a vocabulary"
                      " of the data; with --joint for both languages");
  command->add_option("--target-vocab", o.target_vocab, "the same for the target");
  add("--min-count", o.min_count, "rarer words or characters become <unk>")->check(positive);
  add("--max-tokens", o.max_tokens, "longer sentences are skipped")->check(positive);
  begin_group(command, "Model");
  add("--arch", o.arch, "gru or transformer")->check(CLI::IsMember({"gru", "transformer"}));
  CommandLine gru(command, "gru: "),
      transformer(command, "transformer: ", {{"encoder_layers", "--layers"}});
  fields(gru, o.gru);
  fields(transformer, o.transformer);
  add("--tie", o.tie,
      "transformer: output: the output layer's weight is the target's table, with --joint all three"
      " tables are one; none")
      ->check(CLI::IsMember({"output", "none"}));
  add("--dropout", o.dropout, "of embeddings, readout, attention and layers")->check(share);
  add("--label-smoothing", o.loss.label_smoothing, "what the target gives to all tokens evenly")
      ->check(share);
  add("--r-drop", o.loss.r_drop,
      "R-Drop (Liang et al. 2021): runs each sentence twice, and this is the weight of how far the"
      " two dropouts' results are apart; 0: once")
      ->check(not_negative);
  add("--dev-tokenize", o.dev_tokenize,
      "tokens of the dev set's BLEU, as those of score; auto: the model's words, or 13a; characters"
      " for a script without blanks")
      ->check(CLI::IsMember({"auto", "13a", "intl", "char", "zh", "ja-mecab", "none"}));
  add_training_options(
      command, o.training, {"bleu", "chrf"},
      {"--source", "--target", "--dev-source", "--dev-target", "--source-vocab", "--target-vocab"});
  return command;
}

/// Completes the options from which arguments the command line has.
void finish(TranslateOptions& o, const CLI::App* command) {
  // A budget of tokens is the only limit, unless a number of sentences is given too.
  const bool sentences = command->get_option("--batch-sentences")->count() > 0;
  if (o.batch.tokens > 0 && !sentences) o.batch.sentences = 0;
  finish_training_options(command, o.training);
}

CLI::App* add_decode(CLI::App& app, DecodeOptions& o) {
  CLI::App* command = app.add_subcommand("decode", "translate lines of text");
  command->footer("Example:\n  translate decode --model DIR --beam 5 < test.de > test.en");
  command->add_option("--model", o.models, "folder of a trained model; several: an ensemble")
      ->required();
  command->add_option("--prefix", o.prefixes, "a file: what each translation has to begin with");
  command->add_option("--alignment", o.alignment,
                      "a file for alignments, a line per translation: source-target of each token");
  const auto add = adder(command);
  add("--input,-i", o.input, "the lines to translate; -: standard input, as they come");
  add("--output,-o", o.output, "the translations; -: standard output");
  add("--unknown", o.unknown,
      "<unk> in translations: never; keep it; or replace it by the source token with the largest"
      " attention")
      ->check(CLI::IsMember(names_of(unknowns)));
  add("--beam", o.beam, "hypotheses that are followed; 1: greedy")->check(positive);
  add("--length-penalty", o.length_penalty, "scores are divided by length to this power")
      ->check(not_negative);
  add("--stop", o.stop,
      "a sentence is done when as many hypotheses as --beam have ended (enough), or when none that"
      " goes on would be better if it ended now (likely) or could be better at any length (exact)")
      ->check(CLI::IsMember(names_of(stops)));
  add("--n-best", o.n_best, "give so many, as: line ||| text ||| log-probability ||| score")
      ->check(not_negative);
  command->add_flag("--sample", o.sample, "draw translations at random instead of searching");
  add("--temperature", o.temperature, "sampling: above 1 more variety, below 1 less")
      ->check(positive);
  add("--top-k", o.top_k, "sampling: only of the k likeliest tokens; 0: of all")
      ->check(not_negative);
  add("--top-p", o.top_p, "sampling: only of the likeliest tokens that have this share")
      ->check(share);
  add("--seed", o.seed, "sampling: the same seed draws the same");
  add("--batch", o.batch, "sentences at a time")->check(positive);
  add("--max-length", o.max_length,
      "the most tokens of a translation; 0: twice the line and 10, if the model has room")
      ->check(not_negative);
  add("--max-tokens", o.max_tokens,
      "longer lines are left empty; 0: than the model can read, or than 2000")
      ->check(not_negative);
  add("--threads", o.threads, "0: all cores")->check(not_negative);
  return command;
}

CLI::App* add_score(CLI::App& app, ScoreCommandOptions& o) {
  CLI::App* command = app.add_subcommand("score", "score translations");
  command->footer("Example:\n  translate score --metric bleu chrf --reference test.en < test.out");
  command->add_option("--reference", o.references, "right translations; files, if there are more")
      ->required();
  const auto add = adder(command);
  add("--input,-i", o.inputs,
      "translations; - is standard input; several systems are compared with the first");
  add("--metric", o.metrics,
      "bleu, chrf, chrf++, ter (edits per 100 words), perplexity (of the reference, by a model)")
      ->check(CLI::IsMember({"bleu", "chrf", "chrf++", "ter", "perplexity"}));
  add("--tokenize", o.tokenize,
      "tokens of BLEU: 13a; intl for every script; char or zh for Chinese; ja-mecab for Japanese;"
      " none where text is tokens already")
      ->check(CLI::IsMember({"13a", "intl", "char", "zh", "ja-mecab", "none"}));
  command->add_flag("--lowercase,--lower", o.lower, "letter case does not count");
  command->add_flag("--sentences", o.sentences, "scores of each line too, in columns");
  add("--bootstrap", o.bootstrap,
      "draws of sentences for 95% intervals, and for p-values of several systems; 0: none")
      ->check(between(0, 1'000'000));
  add("--seed", o.seed, "of the draws");
  command->add_flag("--json", o.json, "print JSON");
  command->add_option("--model", o.model, "perplexity: folder of the model");
  command->add_option("--source", o.source, "perplexity: file of the source sentences");
  add("--batch", o.batch, "perplexity: sentences at a time")->check(positive);
  add("--threads", o.threads, "perplexity: 0: all cores")->check(not_negative);
  return command;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Learns to translate from parallel text, translates, and scores translations.",
               "translate");
  app.require_subcommand(1);
  TranslateOptions train_options;
  DecodeOptions decode_options;
  ScoreCommandOptions score_options;
  AverageOptions average_options;
  ReplayOptions replay_options;
  const CLI::App* train_command = add_train(app, train_options);
  const CLI::App* decode_command = add_decode(app, decode_options);
  const CLI::App* score_command = add_score(app, score_options);
  add_average(app, average_options);
  add_replay(app, replay_options);
  std::string model;
  add_info(app, model);
  return run_program("translate", app, argc, argv, [&] {
    if (train_command->parsed()) {
      finish(train_options, train_command);
      return train(train_options);
    }
    if (decode_command->parsed()) return decode(decode_options);
    if (score_command->parsed()) return score(score_options);
    if (app.got_subcommand("info")) {
      fmt::print("{}", translation_info(model));
      return 0;
    }
    if (app.got_subcommand("average")) return average(average_options);
    return replay(replay_options);
  });
}
