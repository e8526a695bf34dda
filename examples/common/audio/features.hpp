// What a speech recogniser reads: log-mel filterbank energies of short frames, and what training
// does to them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "framework/core/random.hpp"

namespace rapt::examples {

enum class WindowKind { hann, hamming };

enum class MelScale {
  htk,     // 2595 log10(1 + f / 700); triangles of height 1
  slaney,  // linear below 1000 Hz, logarithmic above; triangles of area 1 (Slaney 1998)
};

struct FilterbankOptions {
  int rate = 8000;         // samples a second
  double window = 0.025;   // seconds of a frame
  double shift = 0.01;     // seconds from a frame to the next
  std::int64_t mels = 40;  // F
  double low = 20;         // Hz, where the first triangle begins
  double high = 0;         // Hz, where the last ends; 0: half the rate
  double pre_emphasis = 0.97;
  WindowKind kind = WindowKind::hann;
  MelScale scale = MelScale::htk;
  /// The root of the mean square to which an utterance is brought first; 0: it is left as it is.
  double level = 1;
  double floor = 1e-2;  // what every energy is at least
};

/// Frames of features: [frames, width], row by row.
struct Features {
  std::vector<float> values;
  std::int64_t frames = 0, width = 0;
};

/// Samples to the logarithms of mel energies. y[n] = x[n] - a x[n - 1] (y[0] = x[0]), frames that
/// lie wholly inside the utterance (one filled up with zeros where it is shorter than that), times
/// a symmetric window, the squares of the Fourier transform of the next power of two, weighted by
/// triangles whose corners are equally far apart on the mel scale, and the natural logarithm.
class Filterbank {
 public:
  /// Throws std::invalid_argument for options that leave a frame without samples, a triangle
  /// without frequencies, or frequencies out of order.
  explicit Filterbank(const FilterbankOptions& options);
  ~Filterbank();
  Filterbank(Filterbank&&) noexcept;

  const FilterbankOptions& options() const { return options_; }
  std::int64_t frames(std::int64_t samples) const;
  /// `warp` moves the corners of the triangles, as a vocal tract of another length would the
  /// formants: by this factor below 0.8 * high / max(1, warp), and above linearly up to `high`
  /// (Jaitly and Hinton 2013).
  Features operator()(std::span<const float> samples, double warp = 1) const;

 private:
  struct Filter {
    std::int64_t first = 0;
    std::vector<float> weights;
  };
  std::vector<Filter> filters(double warp) const;

  struct Transform;
  FilterbankOptions options_;
  std::int64_t length_, step_, size_;  // of a frame, between frames, of the transform
  std::vector<float> window_;
  std::vector<Filter> plain_;
  std::unique_ptr<Transform> transform_;
};

/// Makes each column's mean 0 and its variance 1 over the utterance; a constant column becomes 0.
void normalise(Features& features);

struct SpecAugmentOptions {
  int frequency_masks = 2;
  std::int64_t frequency_width = 8;  // F: the widest
  int time_masks = 2;
  std::int64_t time_width = 25;  // T: the widest
  double time_share = 0.2;       // p: and never more of the utterance
};

/// Sets bands of frequencies and stretches of time to 0 (Park et al. 2019, section 2, without time
/// warping), drawn by the key.
void spec_augment(Features& features, const SpecAugmentOptions& options, Key key);

}  // namespace rapt::examples
