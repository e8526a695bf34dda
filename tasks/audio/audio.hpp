// Reads and writes audio files, and changes the speed of audio for training.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace rapt::tasks {

/// Thrown for an audio file that cannot be used. The message starts with "file: ".
class AudioError : public std::runtime_error {
 public:
  AudioError(const std::string& path, const std::string& what)
      : std::runtime_error(path + ": " + what) {}
};

struct Audio {
  std::vector<float> samples;  // of one channel; full scale is 1
  int rate = 0;                // samples per second
};

struct AudioOptions {
  int rate = 0;                // the rate that the file must have; 0: any
  double most_seconds = 3600;  // longer files are refused
  bool resample = false;       // converts a file of another rate to `rate`
  bool mix = false;            // takes the mean of several channels
};

/// Reads an audio file in any format that libsndfile supports.
///
/// Throws AudioError if the file is missing, damaged or not audio. Throws it too for no samples, a
/// sample that is not finite, or too many seconds. Several channels are an error without `mix`, and
/// another rate without `resample`. A header that announces more samples than the file holds is an
/// error as well. Sizes that a program could not fill in because it wrote to a pipe are none.
Audio read_audio(const std::string& path, const AudioOptions& options = {});

/// Writes a 16-bit WAV file and clips values above full scale. Throws AudioError if it cannot.
void write_wav(const std::string& path, const Audio& audio);

/// Plays the samples `factor` times as fast, which changes the pitch too. Uses band-limited
/// interpolation by a Hann-windowed sinc of 8 zero crossings on each side (Smith 1984). This is the
/// speed perturbation of Ko et al. (2015). Throws std::invalid_argument for a factor outside [0.25,
/// 4].
std::vector<float> change_speed(std::span<const float> samples, double factor);

/// Returns the root mean square; 0 for no samples.
double rms(std::span<const float> samples);

}  // namespace rapt::tasks
