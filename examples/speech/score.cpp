// speech score: computes error rates of recognised text.
#include <fmt/format.h>

#include <unordered_map>

#include "examples/speech/options.hpp"
#include "framework/core/error.hpp"
#include "tasks/draw/messages.hpp"
#include "tasks/scores/error_rate.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

constexpr const char* input = "standard input";

/// Reads lines of an utterance's id, a tab and its words from standard input.
std::unordered_map<std::string, std::string> read_hypotheses() {
  std::unordered_map<std::string, std::string> words;
  for (const auto& [line, number] : read_lines(std::string(standard_input))) {
    const std::size_t tab = line.find('\t');
    if (tab == 0 || tab == std::string::npos || line.find('\t', tab + 1) != std::string::npos) {
      throw TextError(input, number, "expected an utterance, a tab, and its words");
    }
    if (!words.emplace(line.substr(0, tab), line.substr(tab + 1)).second) {
      throw TextError(input, number, fmt::format("a second line of '{}'", line.substr(0, tab)));
    }
  }
  return words;
}

}  // namespace

int score(const SpeechScoreOptions& o) {
  const std::vector<Utterance> references = read_utterances(o.reference);
  std::unordered_map<std::string, std::string> hypotheses = read_hypotheses();
  ErrorCounts words, characters;
  std::int64_t right = 0, missing = 0;
  for (const Utterance& reference : references) {
    const auto found = hypotheses.extract(reference.id);
    const std::string text = found ? found.mapped() : "";
    if (!found) ++missing;
    const ErrorCounts own = word_errors(text, reference.words);
    if (found && own.errors() == 0) ++right;
    words += own;
    characters += character_errors(text, reference.words);
  }
  if (!hypotheses.empty()) {
    throw Error(fmt::format("{}: '{}' is no utterance of {}", input, hypotheses.begin()->first,
                            o.reference));
  }
  if (missing > 0) {
    print_message(fmt::format("{} utterances have no line: their words count as deleted", missing));
  }
  const auto count = static_cast<double>(references.size());
  fmt::print("{}\n{}\n{:.2f}% of {} utterances are exactly right\n",
             describe("WER", words, "words"), describe("CER", characters, "characters"),
             100 * static_cast<double>(right) / count, references.size());
  return 0;
}

}  // namespace rapt::examples
