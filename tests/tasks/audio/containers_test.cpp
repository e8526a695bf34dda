// Whole and truncated sound files in every container, and headers whose sizes are not known.
#include "tasks/audio/containers.hpp"

#include <sndfile.h>

#include <cmath>
#include <fstream>
#include <numbers>

#include "tasks/audio/audio.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace rapt::tasks {
namespace {

constexpr int samples = 2001;

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// Writes a tone in one of libsndfile's formats and returns the bytes of the file.
std::string sound(int format, int channels = 1, int rate = 8000) {
  const TemporaryFolder folder;
  SF_INFO info{};
  info.samplerate = rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* file = sf_open(folder.file("x").c_str(), SFM_WRITE, &info);
  REQUIRE(file != nullptr);
  std::vector<float> values;
  for (int i = 0; i < samples; ++i) {
    for (int c = 0; c < channels; ++c) {
      values.push_back(
          static_cast<float>((c + 1) * 0.25 * std::sin(2 * std::numbers::pi * 440 * i / rate)));
    }
  }
  sf_writef_float(file, values.data(), samples);
  sf_close(file);
  return TemporaryFolder::read(folder.file("x"));
}

Audio read(const std::string& bytes, const AudioOptions& options = {}) {
  const TemporaryFolder folder;
  write_bytes(folder.file("x"), bytes);
  return read_audio(folder.file("x"), options);
}

std::string with_number(std::string bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t k = 0; k < 4; ++k) bytes.at(at + k) = static_cast<char>(value >> (8 * k));
  return bytes;
}

struct Kind {
  const char* name;
  int format;
};
constexpr Kind kinds[] = {
    {"WAV", SF_FORMAT_WAV | SF_FORMAT_PCM_16},
    {"WAV of 8 bits", SF_FORMAT_WAV | SF_FORMAT_PCM_U8},
    {"RIFX", SF_FORMAT_WAV | SF_FORMAT_PCM_16 | SF_ENDIAN_BIG},
    {"extensible WAV", SF_FORMAT_WAVEX | SF_FORMAT_FLOAT},
    {"RF64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16},
    {"Wave64", SF_FORMAT_W64 | SF_FORMAT_PCM_16},
    {"AIFF", SF_FORMAT_AIFF | SF_FORMAT_PCM_16},
    {"8SVX", SF_FORMAT_SVX | SF_FORMAT_PCM_S8},
    {"AU", SF_FORMAT_AU | SF_FORMAT_PCM_16},
    {"AU, little endian", SF_FORMAT_AU | SF_FORMAT_PCM_16 | SF_ENDIAN_LITTLE},
    {"CAF", SF_FORMAT_CAF | SF_FORMAT_PCM_16},
    {"NIST", SF_FORMAT_NIST | SF_FORMAT_PCM_16},
    {"NIST, mu-law", SF_FORMAT_NIST | SF_FORMAT_ULAW},
};

}  // namespace

TEST_CASE("every container is read whole and refused when cut") {
  for (const Kind& kind : kinds) {
    INFO(kind.name);
    const std::string whole = sound(kind.format);
    CHECK(read(whole).samples.size() == samples);
    CHECK_THROWS_WITH(read(whole.substr(0, whole.size() / 2 + 500)), Catch::Contains("truncated"));
    // One sample less than there should be. Files may end in a byte of padding.
    CHECK_THROWS_WITH(read(whole.substr(0, whole.size() - 5)), Catch::Contains("truncated"));
  }
}

TEST_CASE("sizes that a program could not fill in are not taken for the length") {
  const std::string whole = sound(SF_FORMAT_WAV | SF_FORMAT_PCM_16);
  const std::size_t data = whole.find("data") + 4;
  const std::vector<float> wanted = read(whole).samples;
  const auto size = static_cast<std::uint32_t>(whole.size());
  const std::pair<std::uint32_t, std::uint32_t> sizes[] = {
      {0, 0},                    // never filled in
      {0x7FFFF024, 0x7FFFF000},  // sox to a pipe
      {0x7FFFFFFF, 0x7FFFFFFF},
      {0xFFFFFFFF, 0xFFFFFFFF},           // ffmpeg to a pipe
      {size, 2 * samples},                // the whole file instead of what follows
      {size - 7, 2 * samples},            // a byte of padding that is not there
      {size - 8 + 100'000, 2 * samples},  // only the size of the file is wrong
  };
  for (const auto& [riff, chunk] : sizes) {
    INFO(std::hex << riff << " " << chunk);
    CHECK(read(with_number(with_number(whole, 4, riff), data, chunk)).samples == wanted);
  }
  // The size of the file is right, that of the samples is not.
  CHECK_THROWS_WITH(read(with_number(whole, data, 2 * samples + 2)),
                    Catch::Contains("truncated: its samples take 4004 bytes, of which 4002"));
  const std::string au = sound(SF_FORMAT_AU | SF_FORMAT_PCM_16);
  CHECK(read(with_number(au, 8, 0xFFFFFFFF)).samples == wanted);
}

TEST_CASE("rates that cannot be are named") {
  const std::string whole = sound(SF_FORMAT_WAV | SF_FORMAT_PCM_16);
  CHECK_THROWS_WITH(read(with_number(whole, 24, 0)), Catch::Contains("has a rate of 0 samples"));
  CHECK_THROWS_WITH(read(with_number(whole, 24, 0xFFFFFFFF)),
                    Catch::Contains("has a rate of 4294967295 samples"));
}

TEST_CASE("several channels are mixed and other rates converted on request") {
  const std::string stereo = sound(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 2, 48000);
  CHECK_THROWS_WITH(read(stereo), Catch::Contains("has 2 channels, expected one"));
  const Audio mono = read(stereo, {.mix = true});
  REQUIRE(mono.samples.size() == samples);
  for (int i = 0; i < samples; ++i) {
    const double wanted = 0.375 * std::sin(2 * std::numbers::pi * 440 * i / 48000);
    REQUIRE(mono.samples[static_cast<std::size_t>(i)] == Approx(wanted).margin(1e-6));
  }
  CHECK_THROWS_WITH(read(stereo, {.rate = 8000, .mix = true}),
                    Catch::Contains("has a rate of 48000 samples a second, expected 8000"));
  const Audio slow = read(stereo, {.rate = 8000, .resample = true, .mix = true});
  CHECK(slow.rate == 8000);
  REQUIRE(slow.samples.size() == samples / 6);
  for (std::size_t i = 30; i + 30 < slow.samples.size(); ++i) {
    const double wanted =
        0.375 * std::sin(2 * std::numbers::pi * 440 * static_cast<double>(i) / 8000);
    REQUIRE(slow.samples[i] == Approx(wanted).margin(5e-3));
  }
}

}  // namespace rapt::tasks
