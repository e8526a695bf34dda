// translate decode: translates standard input to standard output.
#include <fmt/format.h>

#include <chrono>
#include <iostream>

#include "examples/translate/options.hpp"
#include "framework/core/error.hpp"
#include "framework/run/executor.hpp"
#include "tasks/text/utf8.hpp"
#include "tasks/translation/translation.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

using Ids = std::vector<std::int32_t>;

/// Loads the models. Throws Error if their tokens differ.
std::vector<TranslationModel> load_all(const std::vector<std::string>& folders) {
  std::vector<TranslationModel> models;
  for (const std::string& folder : folders) {
    models.push_back(TranslationModel::load(folder));
    const auto same = [&](const Tokenizer& a, const Tokenizer& b) {
      bool equal = a.kind() == b.kind() && a.lower() == b.lower() && a.size() == b.size();
      for (std::int32_t id = 0; equal && id < a.size(); ++id) equal = a.token(id) == b.token(id);
      return equal;
    };
    if (!same(models.front().source, models.back().source) ||
        !same(models.front().target, models.back().target)) {
      throw Error(fmt::format("{} and {} have different tokens: they cannot translate together",
                              folders.front(), folder));
    }
  }
  return models;
}

std::vector<Ids> read_prefixes(const std::string& path, std::size_t lines,
                               const Tokenizer& tokenizer) {
  std::vector<Ids> prefixes;
  for (const Line& line : read_lines(path)) prefixes.push_back(tokenizer.encode(line.text));
  if (prefixes.size() == lines) return prefixes;
  throw Error(fmt::format("standard input has {} lines, {} has {}", lines, path, prefixes.size()));
}

/// Converts the options of a search to those of sampling.
SamplingOptions sampling(const DecodeOptions& o, const BeamOptions& options) {
  return {.key = Key{o.seed},
          .samples = options.best,
          .temperature = o.temperature,
          .top_k = o.top_k,
          .top_p = o.top_p,
          .begin = options.begin,
          .end = options.end,
          .pad = options.pad,
          .max_length = options.max_length,
          .prefixes = options.prefixes};
}

}  // namespace

std::vector<std::string> read_standard_input() {
  std::vector<std::string> lines;
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line.ends_with('\r')) line.pop_back();
    const bool valid = is_valid_utf8(line);
    lines.push_back(valid ? line : std::string());
    if (valid) continue;
    fmt::print(stderr, "standard input:{}: invalid UTF-8, taken for an empty line\n", lines.size());
  }
  return lines;
}

int decode(const DecodeOptions& o) {
  Executor executor({.threads = o.threads});
  const Executor::Use use(executor);
  const std::vector<TranslationModel> models = load_all(o.models);
  const TranslationModel& first = models.front();
  const std::vector<std::string> lines = read_standard_input();
  std::vector<Ids> prefixes;
  if (!o.prefixes.empty()) prefixes = read_prefixes(o.prefixes, lines.size(), first.target);

  std::vector<Ids> sources;
  std::vector<bool> used;
  BeamOptions options{.beam = o.beam,
                      .best = std::max<std::int64_t>(o.n_best, 1),
                      .begin = Vocabulary::begin,
                      .end = Vocabulary::end,
                      .pad = Vocabulary::pad,
                      .norm = o.length_penalty == 0 ? LengthNorm::none : LengthNorm::power,
                      .alpha = o.length_penalty,
                      .max_length = o.max_length,
                      .stop = value_of(o.stop, stops)};
  for (std::size_t i = 0; i < lines.size(); ++i) {
    Ids ids = first.source.encode(lines[i]);
    if (ids.size() > o.max_tokens) {
      fmt::print(stderr,
                 "standard input:{}: {} tokens, over the limit of {}, taken for an empty line\n",
                 i + 1, ids.size(), o.max_tokens);
      ids.clear();
    }
    used.push_back(!ids.empty());
    if (!used.back()) continue;
    sources.push_back(std::move(ids));
    if (!prefixes.empty()) options.prefixes.push_back(std::move(prefixes[i]));
  }
  std::vector<Net> nets;
  for (const TranslationModel& model : models) nets.push_back(model.net);
  const auto begin = std::chrono::steady_clock::now();
  const auto found = o.sample ? sample_all(nets, sources, o.batch, sampling(o, options))
                              : search_all(nets, sources, o.batch, options);
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;

  std::size_t next = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!used[i]) {
      if (o.n_best == 0) fmt::print("\n");
      continue;
    }
    const std::vector<Hypothesis>& hypotheses = found[next++];
    if (o.n_best == 0) fmt::print("{}\n", first.target.decode(hypotheses.at(0).tokens));
    for (std::int64_t k = 0; k < o.n_best && k < std::ssize(hypotheses); ++k) {
      const Hypothesis& h = hypotheses[static_cast<std::size_t>(k)];
      fmt::print("{} ||| {} ||| {:.4f} ||| {:.4f}\n", i, first.target.decode(h.tokens),
                 h.log_probability, h.score);
    }
  }
  if (sources.size() < lines.size()) {
    fmt::print(stderr, "{} of {} lines were empty\n", lines.size() - sources.size(), lines.size());
  }
  fmt::print(stderr, "{} sentences in {:.1f} seconds, {:.1f} a second\n", sources.size(),
             passed.count(), static_cast<double>(sources.size()) / passed.count());
  return 0;
}

}  // namespace rapt::examples
