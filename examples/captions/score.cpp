// captions score: scores the captions of standard input.
#include <fmt/format.h>

#include <map>

#include "examples/captions/options.hpp"
#include "tasks/captions/caption_attention.hpp"
#include "tasks/draw/messages.hpp"
#include "tasks/scores/caption_scores.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

constexpr const char* input = "standard input";

/// Reads lines of "image<TAB>caption", each image once.
std::map<std::string, std::string> read_captions() {
  std::map<std::string, std::string> captions;
  for (const auto& [line, number] : read_lines(std::string(standard_input))) {
    const std::size_t tab = line.find('\t');
    if (tab == line.npos || line.find('\t', tab + 1) != line.npos) {
      throw TextError(input, number,
                      "expected two columns with a tab between them: image, caption");
    }
    const auto [place, fresh] = captions.try_emplace(line.substr(0, tab), line.substr(tab + 1));
    if (!fresh) throw TextError(input, number, fmt::format("'{}' once more", place->first));
  }
  return captions;
}

}  // namespace

int score(const ScoreCaptionOptions& o) {
  SkipReport skipped;
  const std::vector<ListedImage> list =
      read_caption_list(o.reference, {.skip_bad = o.skip_bad, .box_size = o.box_size}, skipped);
  if (skipped.count() > 0) print_message(skipped.message());
  std::map<std::string, std::string> written = read_captions();
  const CaptionWords how{.lower = o.lower, .strip_punctuation = o.strip_punctuation};
  std::vector<Sentence> captions;
  std::vector<std::vector<Sentence>> references;
  std::size_t count = 0;
  for (const ListedImage& image : list) {
    const auto found = written.find(image.name);
    if (found == written.end()) {
      throw TextError(o.reference, image.line,
                      fmt::format("standard input has no caption of '{}'", image.name));
    }
    captions.push_back(caption_words(found->second, how));
    written.erase(found);
    auto& own = references.emplace_back();
    for (const ListedCaption& c : image.captions) own.push_back(caption_words(c.text, how));
    count += own.size();
  }
  if (!written.empty()) {
    throw TextError(o.reference, 0, fmt::format("has no picture '{}'", written.begin()->first));
  }
  const CaptionScores scores = score_captions(captions, references);
  fmt::print("captions = {}, references = {}\n", scores.captions, count);
  for (std::size_t n = 0; n < 4; ++n) fmt::print("BLEU-{} = {:.2f}\n", n + 1, scores.bleu[n]);
  fmt::print("ROUGE-L = {:.2f}\n", scores.rouge_l);
  fmt::print("CIDEr-D = {:.3f}\n", scores.cider_d);
  if (captions.size() == 1) {
    print_message("CIDEr-D weighs words by how few pictures have them: for one picture it is 0");
  }
  fmt::print("exact match = {:.2f}%\n", scores.exact);
  if (o.attention.empty()) return 0;
  const Pointing found = pointing(read_looks(o.attention), list, o.reference);
  fmt::print("attention peak in the box = {:.2f}% of {} words that are right, of {}\n",
             found.share(), found.same, found.words);
  return 0;
}

}  // namespace rapt::examples
