// translate score: computes scores of translations, or a model's perplexity.
#include <fmt/format.h>

#include <cmath>

#include "examples/translate/options.hpp"
#include "framework/core/error.hpp"
#include "framework/run/executor.hpp"
#include "tasks/draw/messages.hpp"
#include "tasks/scores/score_report.hpp"
#include "tasks/translation/translation.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

Lines read_text(const std::string& path) {
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
    if (skipped.count() > 0) print_message(skipped.message());
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
  std::vector<std::string> metrics = o.metrics;
  const bool perplexity = std::erase(metrics, "perplexity") > 0;
  if (perplexity && o.json) throw Error("--json is for other scores than perplexity");
  if (!metrics.empty()) {
    std::vector<Lines> references;
    for (const std::string& path : o.references) references.push_back(read_text(path));
    std::vector<System> systems;
    for (const std::string& path : o.inputs) {
      const std::string name = path == standard_input ? "standard input" : path;
      systems.push_back({name, read_text(path)});
      for (std::size_t k = 0; k < references.size(); ++k) {
        if (references[k].size() == systems.back().lines.size()) continue;
        throw Error(fmt::format("{} has {} lines, {} has {}", name, systems.back().lines.size(),
                                o.references[k], references[k].size()));
      }
    }
    if (o.bootstrap > 0 && references.front().empty()) {
      throw Error("--bootstrap needs at least one sentence");
    }
    const auto scores =
        score_systems(systems, references,
                      {.metrics = metrics,
                       .tokens = {.tokens = score_tokens_named(o.tokenize), .lower = o.lower},
                       .bootstrap = o.bootstrap,
                       .seed = o.seed,
                       .sentences = o.sentences});
    fmt::print("{}", o.json ? to_json(scores) : to_text(scores));
  }
  if (perplexity) print_perplexity(o);
  return 0;
}

}  // namespace rapt::examples
