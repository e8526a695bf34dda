// Reads text, and splits it in every way that there is.
#include <zlib.h>

#include <algorithm>

#include "tasks/scores/score_tokens.hpp"
#include "tasks/text/text.hpp"
#include "tasks/text/tokenizer.hpp"
#include "tasks/text/unicode.hpp"
#include "tasks/text/utf8.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt;
using namespace rapt::tasks;

namespace rapt::fuzz {

std::vector<std::string> seeds() {
  const TemporaryFolder folder;
  const std::string text =
      "Ein Mann, 3.14 &quot;sagt&quot; 1,000.5-mal: "
      "\u00ABJa\u00BB!\r\n\n\u65E5\u672C\u8A9E\u3002\ttab "
      "\u2581 \u00C4\u1E9E\u0130\u00A0x\n5-year-old <skipped> e\u0301\U0001F600\n";
  const gzFile file = gzopen(folder.file("x").c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  const std::string zipped = TemporaryFolder::read(folder.file("x"));
  std::string wide = "\xFF\xFE", old = text;
  for (const char c : std::string("ein mann\nzwei\n")) wide += {c, '\0'};
  std::replace(old.begin(), old.end(), '\n', '\r');
  return {text,
          "\xEF\xBB\xBF" + text,
          zipped,
          zipped + zipped,
          wide,
          wide.substr(2),
          old,
          "caf\xE9\n",
          "<pad>\n<unk>\n<s>\n</s>\na\nb\n# 6 tokens\n",
          ""};
}

}  // namespace rapt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.set(fuzz::text_of(data, size));
  constexpr ScoreTokens kinds[] = {ScoreTokens::none, ScoreTokens::v13a, ScoreTokens::intl,
                                   ScoreTokens::characters, ScoreTokens::zh};
  try {
    std::vector<std::string> lines;
    for (const Line& line : read_raw_lines(path)) {
      fuzz::require(line.text.find('\n') == line.text.npos, "a line with a line end");
      display_width(printable(line.text));
      if (is_valid_utf8(line.text)) lines.push_back(line.text);
    }
    for (const std::string& line : lines) {
      for (const ScoreTokens kind : kinds) {
        for (const std::string& token : score_tokens(line, {.tokens = kind, .lower = true})) {
          fuzz::require(!token.empty() && is_valid_utf8(token), "a token that is none");
        }
      }
    }
    if (!lines.empty() && size < 4096) {
      const Tokenizer letters = Tokenizer::train(lines, {.kind = TokenKind::characters});
      for (const std::string& line : lines) {
        fuzz::require(letters.decode(letters.encode(line)) == line, "another line than encoded");
      }
    }
    SkipReport skipped;
    read_lines(path, skipped);
  } catch (const TextError&) {
  }
  try {
    Vocabulary::load(path);
  } catch (const TextError&) {
  }
  return 0;
}
