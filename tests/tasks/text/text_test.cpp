#include "tasks/text/text.hpp"

#include <unistd.h>
#include <zlib.h>

#include <utility>

#include "tasks/text/unicode.hpp"
#include "tasks/text/utf8.hpp"
#include "tasks/translation/translation.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

std::string gzipped(const TemporaryFolder& folder, const std::string& text) {
  const std::string path = folder.file("zipped.gz");
  gzFile file = gzopen(path.c_str(), "wb");
  REQUIRE(file != nullptr);
  REQUIRE(gzwrite(file, text.data(), static_cast<unsigned>(text.size())) ==
          static_cast<int>(text.size()));
  REQUIRE(gzclose(file) == Z_OK);
  return TemporaryFolder::read(path);
}

std::vector<std::string> texts(const std::vector<Line>& lines) {
  std::vector<std::string> out;
  for (const Line& line : lines) out.push_back(line.text);
  return out;
}

using Strings = std::vector<std::string>;

// Text that does not shrink to nothing: the gzip data spans several reads of the file.
std::string long_text() {
  std::string text;
  std::uint32_t state = 1;
  for (int i = 0; i < 60000; ++i) {
    state = state * 1664525u + 1013904223u;
    text += std::to_string(state);
    text += i % 7 == 6 ? '\n' : ' ';
  }
  return text + "last\n";
}

}  // namespace

TEST_CASE("UTF-8 is told from what is none") {
  for (const char* good :
       {"", "a", "é", "日本語", "😀", "\x7F", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    CHECK(is_valid_utf8(good));
  }
  for (const char* bad :
       {"\x80", "a\xC3", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\xAF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE3\x81", "\xFF", "\xE3\x81\x22"}) {
    CHECK_FALSE(is_valid_utf8(bad));
  }
  for (const char32_t c : {0x24u, 0x7FFu, 0x800u, 0xFFFDu, 0x10000u, 0x10FFFFu}) {
    std::string text;
    append_utf8(text, c);
    CHECK(is_valid_utf8(text));
    CHECK(next_code_point(text).value == c);
  }
}

TEST_CASE("Letter case, width and characters of UTF-8 text") {
  CHECK(lower_case("MÄRZ AOÛT Ç×÷ß Я") == "märz août ç×÷ß Я");
  CHECK(upper_case("märz août ÿ×÷ß") == "MÄRZ AOÛT ÿ×÷ß");
  CHECK(lower_case("A\xFF"
                   "B") ==
        "a\xFF"
        "b");
  CHECK(display_width("ab日本e\u0301") == 7);
  CHECK(cut_to_width("ab日本", 5) == "ab日");
  CHECK(cut_to_width("ab", 5) == "ab");
  CHECK(printable("a\x1b[1m\tb\xFF\u0085") == "a\uFFFD[1m\uFFFDb\uFFFD\uFFFD");
  CHECK(split_characters("3 mà") == Strings{"3", "▁", "m", "à"});
}

TEST_CASE("Lines are read from plain and gzip files alike") {
  const TemporaryFolder folder;
  const std::string text = "\xEF\xBB\xBFun\r\n\r\ndeux trois\nà";
  const Strings expected = {"un", "", "deux trois", "à"};
  CHECK(texts(read_lines(folder.write("plain", text))) == expected);
  CHECK(texts(read_lines(folder.write("a.gz", gzipped(folder, text)))) == expected);
  CHECK(read_lines(folder.write("plain", text)).back().number == 4);
  CHECK(texts(read_lines(folder.write("end", "a\nb\n"))) == Strings{"a", "b"});
  CHECK(texts(read_lines(folder.write("break", "\n"))) == Strings{""});
  CHECK(read_lines(folder.write("empty", "")).empty());
  const std::string large = long_text();
  const auto lines = read_lines(folder.write("large.gz", gzipped(folder, large)));
  CHECK(lines.size() == static_cast<std::size_t>(std::count(large.begin(), large.end(), '\n')));
  CHECK(lines.back().text.ends_with(" last"));
  // Two gzip files in a row are one, as for zcat.
  CHECK(texts(read_lines(folder.write(
            "two.gz", gzipped(folder, "a\n") + gzipped(folder, "b\n")))) == Strings{"a", "b"});
}

TEST_CASE("Files that cannot be read are errors that name them") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(read_lines(folder.file("none")),
                    Contains("none: cannot open: No such file or directory"));
  CHECK_THROWS_WITH(read_lines(folder.path().string()), Contains("Is a directory"));
  CHECK_THROWS_WITH(read_lines(folder.write("text.gz", "plain text\n")),
                    Contains("text.gz: named"));
  CHECK_THROWS_AS(read_lines(folder.write("empty.gz", "")), TextError);
  CHECK_THROWS_WITH(read_lines(folder.write("bad", "fine\nnot \xFF fine\n")),
                    Contains("bad:2: invalid UTF-8"));
}

namespace {

/// Reads a text by a pipe that is standard input for the time.
class Pipe {
 public:
  Pipe() {
    REQUIRE(::pipe(ends_) == 0);
    saved_ = ::dup(STDIN_FILENO);
    ::dup2(ends_[0], STDIN_FILENO);
    ::close(ends_[0]);
  }
  ~Pipe() {
    close();
    ::dup2(saved_, STDIN_FILENO);
    ::close(saved_);
  }
  void write(std::string_view text) {
    REQUIRE(::write(ends_[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void close() {
    if (ends_[1] >= 0) ::close(std::exchange(ends_[1], -1));
  }

 private:
  int ends_[2] = {-1, -1}, saved_ = -1;
};

std::string in_utf16(const std::string& ascii, bool big) {
  std::string text;
  for (const char c : ascii) text += big ? std::string{'\0', c} : std::string{c, '\0'};
  return text;
}

}  // namespace

TEST_CASE("Standard input is read as files are") {
  const TemporaryFolder folder;
  const std::string text = "\xEF\xBB\xBFun\r\n\r\ndeux trois\nà";
  for (const std::string& bytes : {text, gzipped(folder, text)}) {
    Pipe pipe;
    pipe.write(bytes);
    pipe.close();
    CHECK(texts(read_lines("-")) == Strings{"un", "", "deux trois", "à"});
  }
  for (const auto& [bytes, message] : std::vector<std::pair<std::string, std::string>>{
           {"a\nb \xFF\n", "standard input:2: invalid UTF-8"},
           {std::string("\xFD\x37zXZ\0 and so on\n", 17), "standard input: is compressed with xz"},
           {"\xFF\xFE" + in_utf16("ab\n", false), "standard input: is UTF-16 text, expected UTF-8"},
           {"\x1F\x8B", "standard input: truncated"}}) {
    Pipe pipe;
    pipe.write(bytes);
    pipe.close();
    CHECK_THROWS_WITH(read_lines("-"), Catch::StartsWith(message));
  }
}

TEST_CASE("A line can be used before the next one has come") {
  Pipe pipe;
  pipe.write("one\n");
  LineReader reader("-");
  std::string line;
  REQUIRE(reader.next(line));  // would wait for ever, if it asked for more
  CHECK(line == "one");
  CHECK_FALSE(reader.ready());
  pipe.write("two\nthr");
  CHECK(reader.ready());
  REQUIRE(reader.next(line));
  CHECK(line == "two");
  CHECK_FALSE(reader.ready());
  pipe.write("ee");
  pipe.close();
  REQUIRE(reader.next(line));
  CHECK(line == "three");
  CHECK(reader.ready());
  CHECK(reader.number() == 3);
  CHECK_FALSE(reader.next(line));
  CHECK_FALSE(reader.next(line));
}

TEST_CASE("Text that is no UTF-8 is called by its name") {
  const TemporaryFolder folder;
  const auto refuse = [&](const std::string& bytes, const std::string& what) {
    CHECK_THROWS_WITH(read_lines(folder.write("x", bytes)), Contains("x: " + what));
    SkipReport skipped;
    CHECK_THROWS_WITH(read_lines(folder.write("x", bytes), skipped), Contains("x: " + what));
  };
  refuse("\xFF\xFE" + in_utf16("ein Mann\n", false), "is UTF-16 text, expected UTF-8");
  refuse("\xFE\xFF" + in_utf16("ein Mann\n", true), "is UTF-16 text, expected UTF-8");
  refuse(in_utf16("ein Mann\nzwei\n", false), "is UTF-16 text without a mark");
  refuse(in_utf16("ein Mann\nzwei\n", true), "is UTF-16 text without a mark");
  refuse(std::string("BZh91AY&SY"), "is compressed with bzip2");
  refuse("\x28\xB5\x2F\xFD and so on", "is compressed with zstd");
  refuse("PK\3\4 and so on", "is a zip archive");
  refuse("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer");
  CHECK_THROWS_WITH(read_lines(folder.write("x", std::string("fine\nnot\0fine\n", 14))),
                    Contains("x:2: a zero byte: is it UTF-16"));
  SkipReport skipped;
  const auto lines = read_lines(folder.file("x"), skipped);
  CHECK(texts(lines) == Strings{"fine"});
  CHECK_THAT(skipped.message(), Contains("1 with a zero byte"));
}

TEST_CASE("Text that begins like another kind of file is text") {
  const TemporaryFolder folder;
  for (const char* text : {"BZhang spielt", "GIF8 ist keine Zahl", "ID3 tags", "<html>", "BM", "PK",
                           "OggSound", "RIFF WAVE", "%", "\"", "\u00FF\u00FE", "FORM"}) {
    CHECK(texts(read_lines(folder.write("x", text))) == Strings{text});
  }
}

TEST_CASE("Lines may end in CR alone") {
  const TemporaryFolder folder;
  CHECK(texts(read_lines(folder.write("x", "a b\rc\r\rd\r"))) == Strings{"a b", "c", "", "d"});
  CHECK(texts(read_lines(folder.write("x",
                                      "\xEF\xBB\xBF"
                                      "a\rb"))) == Strings{"a", "b"});
  CHECK(texts(read_lines(folder.write("x", "a\rb\nc\n"))) == Strings{"a\rb", "c"});
  CHECK(texts(read_lines(folder.write("x", "a\r"))) == Strings{"a"});
}

TEST_CASE("A gzip file cut at any byte is an error") {
  const TemporaryFolder folder;
  const std::string whole = gzipped(folder, "one line\nand another line\n");
  for (std::size_t n = 0; n < whole.size(); ++n) {
    CAPTURE(n);
    CHECK_THROWS_AS(read_lines(folder.write("cut.gz", whole.substr(0, n))), TextError);
  }
  const std::string large = gzipped(folder, long_text());
  for (const std::size_t n : {large.size() - 1, large.size() - 8, large.size() / 2}) {
    CAPTURE(n);
    CHECK_THROWS_WITH(read_lines(folder.write("cut.gz", large.substr(0, n))),
                      Contains("cut.gz: truncated"));
  }
}

TEST_CASE("A gzip file with a changed byte is an error") {
  const TemporaryFolder folder;
  const std::string whole = gzipped(folder, long_text());
  for (const std::size_t n : {whole.size() / 3, whole.size() - 6}) {  // the data, the checksum
    std::string damaged = whole;
    damaged[n] = static_cast<char>(damaged[n] ^ 0x55);
    CAPTURE(n);
    CHECK_THROWS_WITH(read_lines(folder.write("damaged.gz", damaged)),
                      Contains("damaged.gz: damaged gzip data"));
  }
}

TEST_CASE("Invalid lines can be skipped and are counted") {
  const TemporaryFolder folder;
  SkipReport skipped;
  CHECK(skipped.message() == "skipped none");
  const auto lines = read_lines(folder.write("t", "a\n\xFF\nb\n\xC3\n"), skipped);
  CHECK(texts(lines) == Strings{"a", "b"});
  CHECK(lines[1].number == 3);
  CHECK(skipped.count() == 2);
  CHECK(skipped.message() == "skipped 2: 2 with invalid UTF-8 (first " + folder.file("t") + ":2)");
}

TEST_CASE("Words are split at white space of any script") {
  CHECK(split_white_space("  a\tb  c \r") == Strings{"a", "b", "c"});
  CHECK(split_white_space("a\u00A0b\u3000c\u2009d\u200Be") == Strings{"a", "b", "c", "d\u200Be"});
  CHECK(split_white_space(" \t\u3000\u00A0").empty());
}

TEST_CASE("A parallel corpus keeps the pairs that can be used") {
  const TemporaryFolder folder;
  const std::string en = folder.write("en", "a b\n\nc\nd e f\nx\ng\ny\n");
  const std::string fr = folder.write("fr", "A\nB\n \nD\nX X X X\n\xFF\nY Z\n");
  SkipReport skipped;
  Corpus corpus = read_parallel(en, fr, skipped);
  REQUIRE(corpus.size() == 4);
  CHECK(skipped.reasons().size() == 2);
  const Tokenizer words = Tokenizer::train(corpus.target, {});
  const PairSet pairs = encode_pairs(corpus, words, words, 3, en, fr, skipped);
  REQUIRE(pairs.size() == 3);
  CHECK(pairs.target[2] == words.encode("Y Z"));
  CHECK(pairs.source[1] == std::vector<std::int32_t>(3, Vocabulary::unknown));
  CHECK(pairs.lengths()[2].target == 3);  // with the end mark
  CHECK(corpus.source == Strings{"a b", "d e f", "y"});
  CHECK(corpus.target == Strings{"A", "D", "Y Z"});
  CHECK(corpus.line == std::vector<std::int64_t>{1, 4, 7});
  REQUIRE(skipped.reasons().size() == 3);
  CHECK(skipped.reasons()[0].what == "an empty line");
  CHECK(skipped.reasons()[0].count == 2);
  CHECK(skipped.reasons()[0].first == en + ":2");
  CHECK(skipped.reasons()[1].what == "invalid UTF-8");
  CHECK(skipped.reasons()[1].first == fr + ":6");
  CHECK(skipped.reasons()[2].what == "more than 3 tokens");
  CHECK(skipped.reasons()[2].first == fr + ":5");
}

TEST_CASE("Files of unequal length are no parallel corpus") {
  const TemporaryFolder folder;
  const std::string en = folder.write("en", "a\nb\nc\n"), fr = folder.write("fr", "A\nB\n");
  SkipReport skipped;
  CHECK_THROWS_WITH(read_parallel(en, fr, skipped),
                    Contains(en + ": 3 lines") && Contains(fr + " has 2"));
}

TEST_CASE("A vocabulary is ordered by frequency, then by text") {
  const std::vector<Sentence> text = {{"b", "a", "c", "b"}, {"a", "d", "<s>", "<s>", "é"}};
  const auto all = Vocabulary::build(text, {});
  Strings tokens;
  for (std::int32_t i = 0; i < all.size(); ++i) tokens.push_back(all.token(i));
  CHECK(tokens == Strings{"<pad>", "<unk>", "<s>", "</s>", "a", "b", "c", "d", "é"});
  CHECK(Vocabulary::build(text, {.max_size = 6}).size() == 6);
  CHECK(Vocabulary::build(text, {.max_size = 5}).id("b") == Vocabulary::unknown);
  CHECK(Vocabulary::build(text, {.min_count = 2}).size() == 6);
  CHECK(Vocabulary::build({}, {.max_size = 4}).size() == 4);
  CHECK_THROWS_AS(Vocabulary::build(text, {.max_size = 3}), std::invalid_argument);
}

TEST_CASE("Encoding and decoding") {
  const std::vector<Sentence> text = {{"a", "b", "b"}};
  const auto vocabulary = Vocabulary::build(text, {});
  CHECK(vocabulary.encode(Strings{"a", "b", "z"}) == std::vector<std::int32_t>{5, 4, 1});
  // The text cannot give orders to the model.
  CHECK(vocabulary.encode(Strings{"<pad>", "<unk>", "<s>", "</s>"}) ==
        std::vector<std::int32_t>{1, 1, 1, 1});
  CHECK(vocabulary.decode(std::vector<std::int32_t>{2, 5, 1, 0, 4, 3, 5}) ==
        Strings{"a", "<unk>", "b"});
  CHECK_THROWS_AS(vocabulary.decode(std::vector<std::int32_t>{6}), std::out_of_range);
  CHECK_THROWS_AS(vocabulary.token(-1), std::out_of_range);
  CHECK(vocabulary.unknown_share(std::vector<Sentence>{{"a", "z"}, {"b", "z"}}) == 0.5);
  CHECK(vocabulary.unknown_share({}) == 0);
}

TEST_CASE("A vocabulary is saved and loaded, and a damaged file is refused") {
  const TemporaryFolder folder;
  const std::vector<Sentence> text = {{"日本", "a", "a", "#"}};
  const auto vocabulary = Vocabulary::build(text, {});
  const std::string path = folder.file("vocabulary");
  vocabulary.save(path);
  const std::string saved = TemporaryFolder::read(path);
  CHECK(saved == "<pad>\n<unk>\n<s>\n</s>\na\n#\n日本\n# 7 tokens\n");
  const auto loaded = Vocabulary::load(path);
  REQUIRE(loaded.size() == vocabulary.size());
  for (std::int32_t i = 4; i < loaded.size(); ++i) {
    CHECK(loaded.token(i) == vocabulary.token(i));
    CHECK(loaded.id(loaded.token(i)) == i);
  }
  // All but the last byte, the line feed of the last line, is needed.
  for (std::size_t n = 0; n + 1 < saved.size(); ++n) {
    CAPTURE(n);
    CHECK_THROWS_AS(Vocabulary::load(folder.write("cut", saved.substr(0, n))), TextError);
  }
  const std::string start = "<pad>\n<unk>\n<s>\n</s>\n";
  const auto load = [&](const std::string& rest) {
    return Vocabulary::load(folder.write("hostile", start + rest));
  };
  CHECK(load("# 4 tokens\n").size() == 4);
  CHECK_THROWS_WITH(load("a\nb\na\n# 7 tokens\n"),
                    Contains("hostile:7: the token of line 5 again"));
  CHECK_THROWS_WITH(load("<s>\n# 5 tokens\n"), Contains("hostile:5: the token of line 3 again"));
  CHECK_THROWS_WITH(load("\n# 5 tokens\n"), Contains("hostile:5: empty token"));
  CHECK_THROWS_WITH(load("a b\n# 5 tokens\n"), Contains("hostile:5: a token with a blank"));
  CHECK_THROWS_WITH(load("\xFF\n# 5 tokens\n"), Contains("hostile:5: invalid UTF-8"));
  CHECK_THROWS_WITH(load("a\n# 9 tokens\n"), Contains("truncated"));
  CHECK_THROWS_WITH(Vocabulary::load(folder.write("other", "<unk>\n<s>\n</s>\n")),
                    Contains("other:1: no vocabulary"));
}
