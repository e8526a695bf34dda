// translate decode: translates standard input to standard output.
#include <fmt/format.h>

#include <chrono>
#include <iostream>

#include "examples/translate/options.hpp"
#include "framework/core/error.hpp"
#include "tasks/text/utf8.hpp"
#include "tasks/translation/translation.hpp"
#include "tasks/translation/translator.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

std::vector<std::string> read_prefixes(const std::string& path, std::size_t lines) {
  std::vector<std::string> prefixes;
  for (Line& line : read_lines(path)) prefixes.push_back(std::move(line.text));
  if (prefixes.size() == lines) return prefixes;
  throw Error(fmt::format("standard input has {} lines, {} has {}", lines, path, prefixes.size()));
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
  const Translator translator(o.models, o.threads);
  std::vector<std::string> lines = read_standard_input();
  TranslationOptions options{.beam = o.beam,
                             .best = std::max<std::int64_t>(o.n_best, 1),
                             .length_penalty = o.length_penalty,
                             .stop = value_of(o.stop, stops),
                             .max_length = o.max_length,
                             .sample = o.sample,
                             .temperature = o.temperature,
                             .top_k = o.top_k,
                             .top_p = o.top_p,
                             .seed = o.seed,
                             .batch = o.batch};
  if (!o.prefixes.empty()) options.prefixes = read_prefixes(o.prefixes, lines.size());
  std::size_t empty = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t tokens = translator.model().source.encode(lines[i]).size();
    if (tokens > o.max_tokens) {
      fmt::print(stderr,
                 "standard input:{}: {} tokens, over the limit of {}, taken for an empty line\n",
                 i + 1, tokens, o.max_tokens);
      lines[i].clear();
    }
    empty += tokens == 0 || tokens > o.max_tokens;
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto all = translator.translate(lines, options);
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;

  for (std::size_t i = 0; i < all.size(); ++i) {
    if (o.n_best == 0) {
      fmt::print("{}\n", all[i].front().text);
      continue;
    }
    for (const Translation& t : all[i]) {
      fmt::print("{} ||| {} ||| {:.4f} ||| {:.4f}\n", i, t.text, t.log_probability, t.score);
    }
  }
  if (empty > 0) fmt::print(stderr, "{} of {} lines were empty\n", empty, lines.size());
  const std::size_t count = lines.size() - empty;
  fmt::print(stderr, "{} sentences in {:.1f} seconds, {:.1f} a second\n", count, passed.count(),
             static_cast<double>(count) / passed.count());
  return 0;
}

}  // namespace rapt::examples
