#include "tasks/text/tokenizer.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "tasks/text/unicode.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

using Strings = std::vector<std::string>;
using Ids = std::vector<std::int32_t>;

/// Plain text with enough different pieces to learn from.
Strings text() {
  Strings lines;
  const Strings nouns = {"Hund", "Katze", "Straße", "Männer", "Häuser", "Baum"};
  const Strings verbs = {"sieht", "läuft", "spielt", "schläft", "singt"};
  for (const std::string& a : nouns) {
    for (const std::string& v : verbs) {
      for (const std::string& b : nouns) lines.push_back("Ein " + a + " " + v + ", der " + b + ".");
    }
  }
  return lines;
}

TokenizerOptions pieces(SubwordKind kind, bool lower = false) {
  // A unigram model drops what it has little use for: of this text no more than 41 remain.
  const std::int32_t size = kind == SubwordKind::bpe ? 70 : 40;
  return {.kind = TokenKind::sentencepiece, .lower = lower, .size = size, .subwords = kind};
}

}  // namespace

TEST_CASE("Lower case in every script") {
  CHECK(to_lower("ÄÖÜ ÉÀ ΑΣ ЖИЗНЬ ẞ İ 日本 123") == "äöü éà ας жизнь ß i̇ 日本 123");
  CHECK(to_lower("").empty());
}

TEST_CASE("White space as Python has it") {
  CHECK(split_white_space(" a\u00A0b\u3000c\u2028d\x1C"
                          "e\u200Bf\t\n") == Strings{"a", "b", "c", "d", "e\u200Bf"});
  CHECK(split_white_space("\u00A0 ").empty());
}

TEST_CASE("Words and characters") {
  const Strings lines = {"b a b", "B c"};
  const Tokenizer words = Tokenizer::train(lines, {});
  CHECK(words.size() == 8);
  CHECK(words.encode("b  a\tz") == Ids{4, 6, Vocabulary::unknown});
  CHECK(words.decode(Ids{2, 4, 6, 3, 4}) == "b a");
  CHECK(words.unknown_share(Strings{"a z", "z b"}) == 0.5);
  const Tokenizer lower = Tokenizer::train(lines, {.lower = true});
  CHECK(lower.size() == 7);
  CHECK(lower.encode("B A") == lower.encode("b a"));
  const Tokenizer characters = Tokenizer::train(lines, {.kind = TokenKind::characters});
  CHECK(characters.encode("a b").size() == 3);
  CHECK(characters.decode(characters.encode("b cB")) == "b cB");
  CHECK(Tokenizer::train(lines, {.min_count = 2}).size() == 5);
}

TEST_CASE("Words end at white space of any script") {
  const Tokenizer words = Tokenizer::train(Strings{"ein\u00A0Mann", "a\u3000b"}, {});
  CHECK(words.size() == 8);
  CHECK(words.encode("\u00A0 \u3000").empty());
  CHECK(words.decode(words.encode("Mann\u2003ein")) == "Mann ein");
}

TEST_CASE("Tabs and the mark of a space come back as they were") {
  const Strings lines = {"a\tb c\u2581d \u2581t\v\f\r", "a b c d t"};
  const Tokenizer characters = Tokenizer::train(lines, {.kind = TokenKind::characters});
  const TemporaryFolder folder;
  characters.save(folder.file("m"));
  const Tokenizer loaded = Tokenizer::load(folder.file("m"), TokenKind::characters, false);
  for (const std::string& line : lines) {
    CHECK(characters.unknown_share(Strings{line}) == 0);
    CHECK(loaded.decode(loaded.encode(line)) == line);
  }
  Strings more = text();
  more.push_back("Ein\tHund\tsieht");
  const Tokenizer subwords =
      Tokenizer::train(more, {.kind = TokenKind::sentencepiece, .size = 70, .normalise = false});
  for (const std::string& line : more) CHECK(subwords.decode(subwords.encode(line)) == line);
}

TEST_CASE("A small text gives the pieces that it has, and a small size says what is too small") {
  for (const SubwordKind kind : {SubwordKind::bpe, SubwordKind::unigram}) {
    const Tokenizer tokenizer = Tokenizer::train(
        text(), {.kind = TokenKind::sentencepiece, .size = 4000, .subwords = kind});
    CHECK(tokenizer.size() < 200);
    CHECK(tokenizer.decode(tokenizer.encode(text()[0])) == text()[0]);
    CHECK_THROWS_WITH(
        Tokenizer::train(text(), {.kind = TokenKind::sentencepiece, .size = 9, .subwords = kind}),
        Contains("cannot learn 9 pieces from 180 lines") && Contains("so ask for more pieces"));
  }
}

TEST_CASE("Pieces of words give plain text back") {
  const Strings lines = text();
  for (const SubwordKind kind : {SubwordKind::bpe, SubwordKind::unigram}) {
    const Tokenizer tokenizer = Tokenizer::train(lines, pieces(kind));
    CHECK(tokenizer.size() == (kind == SubwordKind::bpe ? 70 : 40));
    for (const std::string& line : lines) CHECK(tokenizer.decode(tokenizer.encode(line)) == line);
    CHECK(tokenizer.unknown_share(lines) == 0);
    // Frequent words are one piece; words never seen are made of smaller ones.
    if (kind == SubwordKind::bpe) CHECK(tokenizer.encode("Ein").size() == 1);
    CHECK(tokenizer.decode(tokenizer.encode("Hundehäuser")) == "Hundehäuser");
    const Ids odd = tokenizer.encode("Ein q");
    CHECK(std::count(odd.begin(), odd.end(), Vocabulary::unknown) == 1);
    // Text gives no orders to the model, and decoding ends at the end mark.
    for (const std::int32_t id : tokenizer.encode("<pad> <s> </s>")) {
      CHECK((id == Vocabulary::unknown || id > Vocabulary::end));
    }
    Ids ended = tokenizer.encode("Ein Hund");
    ended.insert(ended.begin(), Vocabulary::begin);
    ended.push_back(Vocabulary::end);
    ended.push_back(5);
    CHECK(tokenizer.decode(ended) == "Ein Hund");
    CHECK_THROWS_AS(tokenizer.decode(Ids{tokenizer.size()}), std::out_of_range);
    CHECK_THROWS_AS(tokenizer.token(-1), std::out_of_range);
    CHECK(tokenizer.token(Vocabulary::end) == "</s>");
    CHECK(tokenizer.encode("").empty());
  }
}

TEST_CASE("A unigram model knows several ways to cut a text, the likeliest first") {
  const Tokenizer tokenizer = Tokenizer::train(text(), pieces(SubwordKind::unigram, true));
  const std::string line = text()[0];
  const std::vector<Segmentation> all = tokenizer.segmentations(line, 8, 0.5);
  REQUIRE(all.size() == 8);
  CHECK(all[0].pieces == tokenizer.encode(line));
  double sum = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(tokenizer.decode(all[i].pieces) == to_lower(line));
    if (i > 0) {
      CHECK(all[i].pieces != all[i - 1].pieces);
      CHECK(all[i].share <= all[i - 1].share);
    }
    sum += all[i].share;
  }
  CHECK(sum == Approx(1));
  // The power flattens: shares are those of twice its size, by their roots.
  const std::vector<Segmentation> sharp = tokenizer.segmentations(line, 8, 1);
  CHECK(sharp[3].share / sharp[0].share ==
        Approx(std::pow(all[3].share / all[0].share, 2)).epsilon(1e-4));
  for (const Segmentation& one : tokenizer.segmentations(line, 4, 0)) CHECK(one.share == 0.25);
  CHECK(tokenizer.segmentations("", 4, 1).size() <= 1);
  // Others know one.
  const Tokenizer words = Tokenizer::train(Strings{"b a b"}, {});
  REQUIRE(words.segmentations("a b", 8, 1).size() == 1);
  CHECK(words.segmentations("a b", 8, 1)[0].pieces == words.encode("a b"));
  CHECK_THROWS_AS(Tokenizer::train(text(), pieces(SubwordKind::bpe)).segmentations(line, 8, 1),
                  std::invalid_argument);
}

TEST_CASE("Text may be left as it is") {
  Strings lines = text();
  for (std::string& line : lines) line += " １０ ！";
  TokenizerOptions options = pieces(SubwordKind::bpe);
  CHECK(Tokenizer::train(lines, options)
            .decode(Tokenizer::train(lines, options).encode("Ein １０ ！")) == "Ein 10 !");
  options.normalise = false;
  const Tokenizer exact = Tokenizer::train(lines, options);
  CHECK(exact.decode(exact.encode("Ein １０ ！")) == "Ein １０ ！");
}

TEST_CASE("Pieces of lower-cased text") {
  const Tokenizer tokenizer = Tokenizer::train(text(), pieces(SubwordKind::bpe, true));
  CHECK(tokenizer.decode(tokenizer.encode("EIN MÄNNER")) == "ein männer");
}

TEST_CASE("The same text gives the same pieces") {
  const TemporaryFolder folder;
  for (const SubwordKind kind : {SubwordKind::bpe, SubwordKind::unigram}) {
    Tokenizer::train(text(), pieces(kind)).save(folder.file("a"));
    Tokenizer::train(text(), pieces(kind)).save(folder.file("b"));
    CHECK(TemporaryFolder::read(folder.file("a.spm")) ==
          TemporaryFolder::read(folder.file("b.spm")));
  }
}

TEST_CASE("Tokenizers on disk") {
  const TemporaryFolder folder;
  const Tokenizer trained = Tokenizer::train(text(), pieces(SubwordKind::unigram, true));
  trained.save(folder.file("t"));
  const Tokenizer loaded = Tokenizer::load(folder.file("t"), TokenKind::sentencepiece, true);
  CHECK(loaded.size() == trained.size());
  CHECK(loaded.encode("Ein Baum singt.") == trained.encode("Ein Baum singt."));
  const auto load = [&](const std::string& name) {
    return Tokenizer::load(folder.file(name), TokenKind::sentencepiece, false);
  };
  CHECK_THROWS_WITH(load("missing"), Contains("missing.spm: cannot open"));
  folder.write("empty.spm", "");
  CHECK_THROWS_WITH(load("empty"), Contains("empty.spm: is no SentencePiece model"));
  folder.write("other.spm", "these are no pieces");
  CHECK_THROWS_WITH(load("other"), Contains("other.spm: is no SentencePiece model"));
  CHECK_THROWS_AS(Tokenizer::load(folder.file("t"), TokenKind::words, false), TextError);
}

TEST_CASE("Text without characters has no pieces") {
  CHECK_THROWS_AS(Tokenizer::train(Strings{}, pieces(SubwordKind::unigram)), std::invalid_argument);
}
