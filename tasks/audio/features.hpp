// The input features of a speech recogniser: log-mel filterbank energies of short frames, and
// SpecAugment.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "framework/core/random.hpp"

namespace rapt::tasks {

enum class WindowKind { hann, hamming };

enum class MelScale {
  htk,     // 2595 log10(1 + f / 700); triangles of height 1
  slaney,  // linear below 1000 Hz, logarithmic above; triangles of area 1 (Slaney 1998)
};

struct FilterbankOptions {
  int rate = 8000;         // samples per second
  double window = 0.025;   // seconds per frame
  double shift = 0.01;     // seconds between the starts of adjacent frames
  std::int64_t mels = 40;  // number of filters, F
  double low = 20;         // Hz, lower end of the first triangle
  double high = 0;         // Hz, upper end of the last triangle; 0: half the rate
  double pre_emphasis = 0.97;
  WindowKind kind = WindowKind::hann;
  MelScale scale = MelScale::htk;
  /// Root mean square to which an utterance is scaled first; 0: not scaled.
  double level = 1;
  double floor = 1e-2;  // lower bound of every energy
};

/// Frames of features: [frames, width], row by row.
struct Features {
  std::vector<float> values;
  std::int64_t frames = 0, width = 0;
};

/// Computes log-mel energies from samples, in these steps:
/// - Pre-emphasis: y[n] = x[n] - a x[n - 1], y[0] = x[0].
/// - Frames that lie wholly inside the utterance. A shorter utterance is one zero-padded frame.
/// - A symmetric window, then the power spectrum. The FFT size is the next power of two.
/// - A weighted sum by triangles whose corners are equally spaced on the mel scale.
/// - The natural logarithm.
/// Several threads may share a filterbank.
class Filterbank {
 public:
  /// Throws std::invalid_argument if a frame would have no samples or a triangle no frequencies, or
  /// if frequencies are out of order.
  explicit Filterbank(const FilterbankOptions& options);

  const FilterbankOptions& options() const { return options_; }
  std::int64_t frames(std::int64_t samples) const;
  /// Computes the features. `warp` moves the corners of the triangles, as another vocal tract
  /// length moves the formants. Frequencies below 0.8 * high / max(1, warp) are multiplied by
  /// `warp`. Those above are mapped linearly up to `high` (Jaitly and Hinton 2013).
  Features operator()(std::span<const float> samples, double warp = 1) const;

 private:
  struct Filter {
    std::int64_t first = 0;
    std::vector<float> weights;
  };
  std::vector<Filter> filters(double warp) const;

  FilterbankOptions options_;
  std::int64_t length_, step_, size_;  // of a frame, between frames, of the FFT
  std::vector<float> window_;
  std::vector<Filter> plain_;
};

/// Scales each column to mean 0 and variance 1 over the utterance. A constant column becomes 0.
void normalise(Features& features);

struct SpecAugmentOptions {
  int frequency_masks = 2;
  std::int64_t frequency_width = 8;  // F: the widest mask
  int time_masks = 2;
  std::int64_t time_width = 25;  // T: the widest mask
  double time_share = 0.2;       // p: a mask's largest share of the utterance
};

/// Sets bands of frequencies and spans of time to 0: SpecAugment without time warping (Park et al.
/// 2019, section 2). The key determines the masks.
void spec_augment(Features& features, const SpecAugmentOptions& options, Key key);

}  // namespace rapt::tasks
