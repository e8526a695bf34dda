// Reads sound files of every container, as far as libsndfile opens them.
#include <sndfile.h>

#include <cmath>

#include "tasks/audio/audio.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt;
using namespace rapt::tasks;

namespace rapt::fuzz {

std::vector<std::string> seeds() {
  const TemporaryFolder folder;
  std::vector<std::string> all;
  for (const int format :
       {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_WAV | SF_FORMAT_FLOAT,
        SF_FORMAT_WAV | SF_FORMAT_ULAW, SF_FORMAT_WAV | SF_FORMAT_PCM_16 | SF_ENDIAN_BIG,
        SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, SF_FORMAT_RF64 | SF_FORMAT_PCM_16,
        SF_FORMAT_W64 | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_16,
        SF_FORMAT_SVX | SF_FORMAT_PCM_S8, SF_FORMAT_AU | SF_FORMAT_PCM_16,
        SF_FORMAT_AU | SF_FORMAT_ALAW | SF_ENDIAN_LITTLE, SF_FORMAT_CAF | SF_FORMAT_PCM_16,
        SF_FORMAT_NIST | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16}) {
    SF_INFO info{};
    info.samplerate = 8000;
    info.channels = all.size() % 3 == 1 ? 2 : 1;
    info.format = format;
    SNDFILE* file = sf_open(folder.file("x").c_str(), SFM_WRITE, &info);
    if (file == nullptr) continue;
    std::vector<float> samples(200);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      samples[i] = 0.5f * std::sin(0.3f * static_cast<float>(i));
    }
    sf_writef_float(file, samples.data(), std::ssize(samples) / info.channels);
    sf_close(file);
    all.push_back(TemporaryFolder::read(folder.file("x")));
  }
  return all;
}

}  // namespace rapt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  try {
    const Audio audio =
        read_audio(file.set(fuzz::text_of(data, size)),
                   {.rate = 8000, .most_seconds = 2, .resample = true, .mix = true});
    fuzz::require(audio.rate == 8000, "another rate");
    fuzz::require(audio.samples.size() <= 16000, "too many samples");
    for (const float x : audio.samples) fuzz::require(std::isfinite(x), "no number");
  } catch (const AudioError&) {
  }
  return 0;
}
