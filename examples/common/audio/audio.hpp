// Sound from files, and what training does to it: speed and level.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace rapt::examples {

/// A file of sound that cannot be used. The message starts with "file: ".
class AudioError : public std::runtime_error {
 public:
  AudioError(const std::string& path, const std::string& what)
      : std::runtime_error(path + ": " + what) {}
};

struct Audio {
  std::vector<float> samples;  // of one channel; full scale is 1
  int rate = 0;                // a second
};

struct AudioOptions {
  int rate = 0;                // what the file has to have; 0: any
  double most_seconds = 3600;  // longer files are refused
};

/// Reads a file in any format that libsndfile knows. Nothing is resampled or mixed.
///
/// Throws AudioError: no such file, no sound or a damaged one, no samples, more than one channel,
/// another rate, too long, a header that speaks of more than the file holds, a sample that is not
/// finite.
Audio read_audio(const std::string& path, const AudioOptions& options = {});

/// Writes 16-bit WAV; what is above full scale is cut. Throws AudioError.
void write_wav(const std::string& path, const Audio& audio);

/// The samples played `factor` times as fast, pitch included: band-limited interpolation by a
/// Hann-windowed sinc of 8 zero crossings to each side (Smith 1984), as the speed perturbation of
/// Ko et al. (2015). Throws std::invalid_argument for a factor outside [0.25, 4].
std::vector<float> change_speed(std::span<const float> samples, double factor);

/// The root of the mean square; 0 of nothing.
double rms(std::span<const float> samples);

}  // namespace rapt::examples
