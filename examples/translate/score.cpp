// translate score: computes scores of translations, or a model's perplexity.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "examples/translate/options.hpp"
#include "framework/core/error.hpp"
#include "framework/run/executor.hpp"
#include "tasks/scores/scores.hpp"
#include "tasks/translation/translation.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

Lines read_reference(const std::string& path) {
  Lines lines;
  for (Line& line : read_lines(path)) lines.push_back(std::move(line.text));
  return lines;
}

/// Prints the perplexity of the reference given the source: exp of the mean of -log p over its
/// tokens and end marks.
void print_perplexity(const ScoreCommandOptions& o) {
  if (o.model.empty() || o.source.empty()) {
    throw Error("--metric perplexity needs --model and --source");
  }
  Executor executor({.threads = o.threads});
  const Executor::Use use(executor);
  const TranslationModel model = TranslationModel::load(o.model);
  for (const std::string& reference : o.references) {
    SkipReport skipped;
    Corpus corpus = read_parallel(o.source, reference, skipped);
    const PairSet pairs =
        encode_pairs(corpus, model.source, model.target, 500, o.source, reference, skipped);
    if (skipped.count() > 0) fmt::print(stderr, "{}\n", skipped.message());
    if (pairs.size() == 0) throw Error(fmt::format("{}: no line is left to use", reference));
    const double loss = mean_loss(model.net, pairs, {.sentences = o.batch});
    std::int64_t tokens = 0;
    for (const PairLength& length : pairs.lengths()) tokens += length.target;
    fmt::print("perplexity = {:.4f} (loss {:.4f}, {} tokens of {} with end marks)\n",
               std::exp(loss), loss, tokens, reference);
  }
}

}  // namespace

int score(const ScoreCommandOptions& o) {
  const auto wanted = [&](std::string_view metric) {
    return std::find(o.metrics.begin(), o.metrics.end(), metric) != o.metrics.end();
  };
  if (wanted("bleu") || wanted("chrf")) {
    std::vector<Lines> references;
    for (const std::string& path : o.references) references.push_back(read_reference(path));
    const Lines hypotheses = read_standard_input();
    for (std::size_t k = 0; k < references.size(); ++k) {
      if (references[k].size() == hypotheses.size()) continue;
      throw Error(fmt::format("standard input has {} lines, {} has {}", hypotheses.size(),
                              o.references[k], references[k].size()));
    }
    if (wanted("bleu")) {
      const ScoreOptions options{.tokens = o.tokenize == "none"   ? ScoreTokens::none
                                           : o.tokenize == "char" ? ScoreTokens::characters
                                                                  : ScoreTokens::v13a,
                                 .lower = o.lower};
      fmt::print("{}\n", score_bleu(hypotheses, references, options).line());
      fmt::print("BLEU|{}\n", bleu_signature(options, references.size()));
    }
    if (wanted("chrf")) {
      fmt::print("chrF2 = {:.2f}\n", score_chrf(hypotheses, references, o.lower));
      fmt::print("chrF2|{}\n", chrf_signature(o.lower, references.size()));
    }
  }
  if (wanted("perplexity")) print_perplexity(o);
  return 0;
}

}  // namespace rapt::examples
