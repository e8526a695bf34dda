// Sound files and lists of them, good ones and bad ones.
#include "tasks/audio/audio.hpp"

#include <sndfile.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <numbers>

#include "tasks/audio/features.hpp"
#include "tasks/data/hash.hpp"
#include "tasks/speech/utterances.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace rapt::tasks {
namespace {

Audio tone(double hz, int rate, int count, double height = 0.5) {
  Audio audio{.samples = {}, .rate = rate};
  for (int i = 0; i < count; ++i) {
    audio.samples.push_back(
        static_cast<float>(height * std::sin(2 * std::numbers::pi * hz * i / rate)));
  }
  return audio;
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A WAV of floats, of any values.
void write_floats(const std::string& path, const std::vector<float>& samples, int channels = 1) {
  SF_INFO info{};
  info.samplerate = 8000;
  info.channels = channels;
  info.format = SF_FORMAT_WAV | SF_FORMAT_FLOAT;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  REQUIRE(file != nullptr);
  sf_writef_float(file, samples.data(), static_cast<sf_count_t>(samples.size()) / channels);
  sf_close(file);
}

}  // namespace

TEST_CASE("a file is read as it was written") {
  const TemporaryFolder folder;
  const std::string path = folder.file("tone.wav");
  const Audio written = tone(440, 8000, 5000);
  write_wav(path, written);
  const Audio read = read_audio(path, {.rate = 8000});
  CHECK(read.rate == 8000);
  REQUIRE(read.samples.size() == 5000);
  for (std::size_t i = 0; i < 5000; ++i) {
    REQUIRE(std::abs(read.samples[i] - written.samples[i]) < 1.0 / 32000);
  }
}

TEST_CASE("files that cannot be used say why, with their names") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.wav");
  const auto fails = [&](const std::string& text, const AudioOptions& options = {}) {
    CHECK_THROWS_WITH(read_audio(path, options),
                      Catch::StartsWith(path + ": ") && Catch::Contains(text));
  };
  fails("No such file");
  write_bytes(path, "");
  fails("");
  write_bytes(path, "this is text, and not a sound at all, however long it goes on");
  fails("");
  write_wav(path, tone(440, 16000, 4000));
  fails("has a rate of 16000 samples a second, expected 8000", {.rate = 8000});
  fails("more than the limit of 0.1 seconds", {.most_seconds = 0.1});
  const std::string whole = TemporaryFolder::read(path);
  write_bytes(path, whole.substr(0, 3000));
  fails("truncated: its samples take 8000 bytes, of which 2956 are there");
  write_wav(path, {.samples = {}, .rate = 8000});
  fails("has no samples");
  write_floats(path, {0.1f, 0.2f, 0.3f, 0.4f}, 2);
  fails("has 2 channels, expected one");
  write_floats(path, {0.1f, 0.2f, std::numeric_limits<float>::quiet_NaN(), 0.4f});
  fails("sample 2 is not a finite number");
  write_floats(path, {0.1f, std::numeric_limits<float>::infinity()});
  fails("sample 1 is not a finite number");
}

TEST_CASE("a file that went through a pipe does not know its size, and is read") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.wav");
  write_wav(path, tone(440, 8000, 2000));
  std::string bytes = TemporaryFolder::read(path);
  for (const std::size_t at : {std::size_t{4}, bytes.find("data") + 4}) {
    bytes.replace(at, 4, 4, '\xFF');
  }
  const std::string streamed = folder.file("b.wav");
  write_bytes(streamed, bytes);
  CHECK(read_audio(streamed).samples == read_audio(path).samples);
}

TEST_CASE("a thousand damaged files are refused or read, and nothing worse") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.wav");
  write_wav(path, tone(440, 8000, 2000));
  const std::string whole = TemporaryFolder::read(path);
  const Filterbank bank({});
  int refused = 0;
  for (std::uint64_t n = 0; n < 1000; ++n) {
    std::string bytes = whole;
    std::uint64_t drawn = 0;
    const auto draw = [&](std::uint64_t most) { return below(most, hash(n, ++drawn)); };
    if (n % 4 == 0) bytes.resize(draw(bytes.size()));
    if (n % 4 == 1) {  // a size or another number of the header
      for (std::size_t k = 0, at = draw(41); k < 4; ++k) {
        bytes[at + k] = static_cast<char>(n % 8 == 1 ? 0xFF : draw(256));
      }
    }
    if (n % 4 >= 2) {  // single bytes, mostly of the header
      for (std::uint64_t k = 0; k <= draw(8); ++k) {
        bytes[draw(n % 4 == 2 ? 44 : bytes.size())] = static_cast<char>(draw(256));
      }
    }
    write_bytes(path, bytes);
    try {
      const Audio audio = read_audio(path, {.most_seconds = 60});
      REQUIRE(audio.samples.size() <= bytes.size());
      const Features features = bank(audio.samples);
      for (const float x : features.values) REQUIRE(std::isfinite(x));
    } catch (const AudioError& error) {
      REQUIRE(std::string(error.what()).starts_with(path + ": "));
      ++refused;
    }
  }
  CHECK(refused > 400);
  CHECK(refused < 1000);
}

TEST_CASE("speed changes length and pitch alike") {
  const Audio plain = tone(500, 8000, 4000);
  for (const double factor : {0.8, 1.0, 1.25}) {
    const std::vector<float> fast = change_speed(plain.samples, factor);
    REQUIRE(fast.size() == static_cast<std::size_t>(std::floor(4000 / factor)));
    const Audio want = tone(500 * factor, 8000, static_cast<int>(fast.size()));
    // Away from the ends, where the interpolation has both sides.
    for (std::size_t i = 50; i + 50 < fast.size(); ++i) {
      REQUIRE(fast[i] == Approx(want.samples[i]).margin(5e-3));
    }
  }
  // What the new rate cannot hold does not come back as another tone.
  const std::vector<float> folded = change_speed(tone(3500, 8000, 4000).samples, 1.5);
  CHECK(rms(std::span(folded).subspan(50, folded.size() - 100)) < 0.02);
  CHECK_THROWS_WITH(change_speed(plain.samples, 5), Catch::Contains("[0.25, 4], it is 5"));
  CHECK(rms(plain.samples) == Approx(0.5 / std::numbers::sqrt2).margin(1e-3));
}

TEST_CASE("an utterance joins recordings with silence between") {
  const TemporaryFolder folder;
  write_wav(folder.file("a.wav"), tone(400, 8000, 100));
  write_wav(folder.file("b.wav"), tone(600, 8000, 50));
  const std::string list = folder.file("list.tsv");
  write_bytes(list, "u1\tann\tone  two\ta.wav b.wav\t30\nu2\tann\tone\ta.wav\t-\n");
  const std::vector<Utterance> utterances = read_utterances(list);
  REQUIRE(utterances.size() == 2);
  CHECK(utterances[0].words == "one two");
  CHECK(utterances[1].line == 2);
  Recordings recordings(folder.path().string());
  const std::vector<float> joined = [&] {
    recordings.read(utterances[0], list);
    return recordings.join(utterances[0].files, utterances[0].gaps);
  }();
  REQUIRE(joined.size() == 180);
  const std::vector<float> a = recordings.samples("a.wav"), b = recordings.samples("b.wav");
  CHECK(std::equal(a.begin(), a.end(), joined.begin()));
  for (std::size_t i = 100; i < 130; ++i) CHECK(joined[i] == 0);
  CHECK(std::equal(b.begin(), b.end(), joined.begin() + 130));
  CHECK(recordings.rate() == 8000);
}

TEST_CASE("lists say where they are wrong, or leave that out and count it") {
  const TemporaryFolder folder;
  write_wav(folder.file("a.wav"), tone(400, 8000, 100));
  write_wav(folder.file("other.wav"), tone(400, 16000, 100));
  const std::string list = folder.file("list.tsv");
  const std::string good = "good\tann\tone\ta.wav\t-\n";
  const auto fails = [&](const std::string& line, const std::string& text) {
    write_bytes(list, good + line + "\n");
    const auto read = [&](SkipReport* skipped) {
      Recordings recordings(folder.path().string());
      return recordings
          .readable(read_utterances(list, skipped, {.needs_words = true}), list, skipped)
          .size();
    };
    CHECK_THROWS_WITH(read(nullptr), Catch::StartsWith(list + ":2: ") && Catch::Contains(text));
    SkipReport skipped;
    CHECK(read(&skipped) == 1);
    CHECK(skipped.count() == 1);
    CHECK(skipped.reasons()[0].first == list + ":2");
  };
  fails("", "1 columns, expected 5");
  fails("u\tann\tone\ta.wav", "4 columns, expected 5");
  fails("u\tann\tone\ta.wav\t-\tmore", "6 columns");
  fails("u\tann\t \ta.wav\t-", "no words, which training needs");
  fails("u\tann\tone\t\t-", "the column of the files is empty");
  fails("u\tann\tone\ta.wav a.wav\t-", "a.wav a.wav: ");
  fails("u\tann\tone\ta.wav a.wav a.wav\t- 3", "the gap '-' is no number");
  fails("u\tann\tone\ta.wav a.wav\t-3", "the gap '-3'");
  fails("u\tann\tone\ta.wav a.wav\t99999999999999999999", "is no number of samples");
  fails("u\tann\tone\ta.wav a.wav\t3 4", "2 files and 2 gaps");
  fails("good\tann\tone\ta.wav\t-", "a second utterance: 'good'");
  fails("u\tann\tone\tmissing.wav\t-", "missing.wav: ");
  fails("u\tann\tone\tother.wav\t-", "has a rate of 16000 samples a second, expected 8000");
  fails("u\tann\t\xff\ta.wav\t-", "UTF-8");
  fails("u\tann\tone\ta.wav a.wav\t480040", "u: takes 60.03 seconds, the most are 60.00");
  write_bytes(list, "");
  CHECK_THROWS_WITH(read_utterances(list), Catch::Contains("holds no utterance"));
  CHECK_THROWS_WITH(read_utterances(folder.file("none.tsv")), Catch::Contains("none.tsv: "));
}

TEST_CASE("lists may lack words, name files anywhere, and be JSON or Kaldi's") {
  const TemporaryFolder folder;
  write_wav(folder.file("a b.wav"), tone(400, 8000, 100));
  write_wav(folder.file("c.wav"), tone(400, 16000, 200));
  const std::string absolute = folder.file("c.wav"), list = folder.file("list");
  const auto read = [&](const std::string& path) {
    Recordings recordings(folder.path().string(), 8000, 60, {.resample = true});
    std::vector<Utterance> utterances = recordings.readable(read_utterances(path), path);
    for (const Utterance& one : utterances) CHECK(recordings.samples(one.files[0]).size() == 100);
    CHECK_THROWS_WITH(read_utterances(path, nullptr, {.needs_words = true}),
                      Catch::Contains(":2: no words, which training needs"));
    return utterances;
  };
  const auto check = [](const std::vector<Utterance>& utterances, const std::string& speaker) {
    REQUIRE(utterances.size() == 2);
    CHECK(utterances[0].id == "u1");
    CHECK(utterances[0].words == "one two");
    CHECK(utterances[0].speaker == speaker);
    CHECK(utterances[1].id == "u2");
    CHECK(utterances[1].words.empty());
    CHECK(utterances[1].speaker.empty());
  };
  write_bytes(list, "u1\tann\tone  two\ta b.wav\t-\nu2\t\t\t" + absolute + "\t-\n");
  check(read(list), "ann");
  write_bytes(list,
              "{\"id\": \"u1\", \"text\": \"one two\", \"speaker\": \"ann\","
              " \"audio_filepath\": \"a b.wav\", \"duration\": 0.1}\n{\"id\": \"u2\", \"wav\": \"" +
                  absolute + "\"}\n");
  check(read(list), "ann");
  const std::string kaldi = folder.file("data");
  std::filesystem::create_directory(kaldi);
  write_bytes(kaldi + "/wav.scp", "u1 a b.wav\nu2  " + absolute + "\n");
  write_bytes(kaldi + "/text", "u1 one  two\n");
  check(read(kaldi), "");
  write_bytes(kaldi + "/utt2spk", "u1 ann\n");
  check(read(kaldi), "ann");

  write_bytes(kaldi + "/wav.scp", "u1 sph2pipe -f wav x.sph |\n");
  CHECK_THROWS_WITH(read_utterances(kaldi), Catch::Contains("wav.scp:1: a command in place of a"));
  for (const char* bad : {"{\"text\": \"one\"}", "{\"wav\": 3}", "{\"wav\""}) {
    write_bytes(list, bad);
    CHECK_THROWS_WITH(read_utterances(list), Catch::Contains("list:1: "));
  }
}

TEST_CASE("what is left out says why") {
  const TemporaryFolder folder;
  const std::string list = folder.file("list.tsv");
  write_bytes(list, "u\tann\tone\tmissing.wav\t-\n");
  Recordings recordings(folder.path().string());
  SkipReport skipped;
  CHECK_THROWS_WITH(
      recordings.readable(read_utterances(list, &skipped), list, &skipped),
      Catch::Contains(
          "holds no utterance that can be used (skipped 1: 1 with recordings that cannot") &&
          Catch::Contains("missing.wav: System error : No such file"));
}

}  // namespace rapt::tasks
