#include "tasks/audio/features.hpp"

#include <fmt/format.h>
#include <kiss_fftr.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <numbers>
#include <stdexcept>

#include "tasks/audio/audio.hpp"

namespace rapt::tasks {
namespace {

constexpr double slaney_step = 200.0 / 3, slaney_break = 1000;  // Hz per mel below the break, and
                                                                // the break in Hz
const double slaney_ratio = std::log(6.4) / 27;  // log of the frequency ratio per mel above

double to_mel(double hz, MelScale scale) {
  if (scale == MelScale::htk) return 2595 * std::log10(1 + hz / 700);
  if (hz < slaney_break) return hz / slaney_step;
  return slaney_break / slaney_step + std::log(hz / slaney_break) / slaney_ratio;
}

double to_hz(double mel, MelScale scale) {
  if (scale == MelScale::htk) return 700 * (std::pow(10, mel / 2595) - 1);
  const double at_break = slaney_break / slaney_step;
  if (mel < at_break) return mel * slaney_step;
  return slaney_break * std::exp((mel - at_break) * slaney_ratio);
}

double warped(double hz, double warp, double high) {
  const double knee = 0.8 * high / std::max(1.0, warp);
  if (hz <= knee) return hz * warp;
  return high - (high - knee * warp) / (high - knee) * (high - hz);
}

std::int64_t power_of_two(std::int64_t least) {
  std::int64_t size = 2;
  while (size < least) size *= 2;
  return size;
}

}  // namespace

Filterbank::Filterbank(const FilterbankOptions& o)
    : options_(o),
      length_(std::llround(o.window * o.rate)),
      step_(std::llround(o.shift * o.rate)),
      size_(power_of_two(length_)) {
  if (options_.high <= 0) options_.high = o.rate / 2.0;
  if (length_ < 2 || step_ < 1) {
    throw std::invalid_argument(fmt::format(
        "filterbank: frames of {} samples every {}: expected at least 2 and 1", length_, step_));
  }
  if (!(o.low >= 0 && o.low < options_.high && options_.high <= o.rate / 2.0)) {
    throw std::invalid_argument(
        fmt::format("filterbank: expected 0 <= low < high <= {} Hz, got {} and {}", o.rate / 2.0,
                    o.low, options_.high));
  }
  if (o.mels < 1 || !(o.floor > 0)) {
    throw std::invalid_argument("filterbank: expected at least one mel and a floor above 0");
  }
  const double edge = o.kind == WindowKind::hann ? 0.5 : 0.54;
  for (std::int64_t i = 0; i < length_; ++i) {
    const double angle =
        2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(length_ - 1);
    window_.push_back(static_cast<float>(edge - (1 - edge) * std::cos(angle)));
  }
  plain_ = filters(1);
  for (std::size_t m = 0; m < plain_.size(); ++m) {
    if (!plain_[m].weights.empty()) continue;
    throw std::invalid_argument(fmt::format(
        "filterbank: triangle {} of {} holds no frequency of a transform of {}: fewer mels or a "
        "longer window",
        m, o.mels, size_));
  }
}

std::int64_t Filterbank::frames(std::int64_t samples) const {
  return samples <= length_ ? 1 : 1 + (samples - length_) / step_;
}

std::vector<Filterbank::Filter> Filterbank::filters(double warp) const {
  const auto& o = options_;
  const double low = to_mel(o.low, o.scale), high = to_mel(o.high, o.scale);
  std::vector<double> corners;  // Hz
  for (std::int64_t i = 0; i < o.mels + 2; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(o.mels + 1);
    corners.push_back(warped(to_hz(low + share * (high - low), o.scale), warp, o.high));
  }
  std::vector<Filter> all;
  for (std::size_t m = 0; m < static_cast<std::size_t>(o.mels); ++m) {
    const double left = corners[m], top = corners[m + 1], right = corners[m + 2];
    const double height = o.scale == MelScale::slaney ? 2 / (right - left) : 1;
    Filter filter;
    for (std::int64_t k = 0; k <= size_ / 2; ++k) {
      const double hz = static_cast<double>(k) * o.rate / static_cast<double>(size_);
      const double weight = std::min((hz - left) / (top - left), (right - hz) / (right - top));
      if (weight <= 0) continue;
      if (filter.weights.empty()) filter.first = k;
      filter.weights.push_back(static_cast<float>(height * weight));
    }
    all.push_back(std::move(filter));
  }
  return all;
}

Features Filterbank::operator()(std::span<const float> samples, double warp) const {
  const auto n = static_cast<std::int64_t>(samples.size());
  const std::vector<Filter> moved = warp == 1 ? std::vector<Filter>{} : filters(warp);
  const std::vector<Filter>& bank = warp == 1 ? plain_ : moved;
  const double level = rms(samples);
  const double gain = options_.level > 0 && level > 0 ? options_.level / level : 1;
  std::vector<float> signal(static_cast<std::size_t>(std::max(n, length_)), 0.f);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double before = i > 0 ? samples[i - 1] : 0;
    signal[i] = static_cast<float>(gain * (samples[i] - options_.pre_emphasis * before));
  }
  Features features{.values = {}, .frames = frames(n), .width = options_.mels};
  features.values.reserve(static_cast<std::size_t>(features.frames * features.width));
  std::vector<float> frame(static_cast<std::size_t>(size_), 0.f);
  std::vector<float> energy(static_cast<std::size_t>(size_ / 2 + 1));
  std::vector<kiss_fft_cpx> spectrum(energy.size());
  const auto least = static_cast<float>(options_.floor);
  // A plan has work space of its own, so each call makes one.
  const std::unique_ptr<kiss_fftr_state, void (*)(kiss_fftr_state*)> plan(
      kiss_fftr_alloc(static_cast<int>(size_), 0, nullptr, nullptr),
      [](kiss_fftr_state* state) { kiss_fftr_free(state); });
  if (!plan) throw std::bad_alloc();
  for (std::int64_t t = 0; t < features.frames; ++t) {
    const float* from = signal.data() + t * step_;
    for (std::size_t i = 0; i < window_.size(); ++i) frame[i] = from[i] * window_[i];
    kiss_fftr(plan.get(), frame.data(), spectrum.data());
    for (std::size_t k = 0; k < energy.size(); ++k) {
      energy[k] = spectrum[k].r * spectrum[k].r + spectrum[k].i * spectrum[k].i;
    }
    for (const Filter& filter : bank) {
      float sum = 0;
      const float* e = energy.data() + filter.first;
      for (std::size_t k = 0; k < filter.weights.size(); ++k) sum += filter.weights[k] * e[k];
      features.values.push_back(std::log(std::max(sum, least)));
    }
  }
  return features;
}

void normalise(Features& features) {
  const auto width = static_cast<std::size_t>(features.width);
  const auto count = static_cast<double>(features.frames);
  for (std::size_t f = 0; f < width; ++f) {
    double sum = 0, squares = 0;
    for (std::size_t i = f; i < features.values.size(); i += width) sum += features.values[i];
    const double mean = sum / count;
    for (std::size_t i = f; i < features.values.size(); i += width) {
      squares += (features.values[i] - mean) * (features.values[i] - mean);
    }
    const double deviation = std::sqrt(squares / count);
    const double factor = deviation > 1e-5 ? 1 / deviation : 0;
    for (std::size_t i = f; i < features.values.size(); i += width) {
      features.values[i] = static_cast<float>((features.values[i] - mean) * factor);
    }
  }
}

void spec_augment(Features& features, const SpecAugmentOptions& o, Key key) {
  const std::int64_t F = features.width, T = features.frames;
  std::uint64_t drawn = 0;
  /// Returns a random span of at most `most` positions in [0, all).
  const auto stretch = [&](std::int64_t most, std::int64_t all) {
    const std::int64_t width = key.below(std::min(most, all) + 1, drawn++);
    const std::int64_t first = key.below(all - width + 1, drawn++);
    return std::pair(first, first + width);
  };
  for (int i = 0; i < o.frequency_masks; ++i) {
    const auto [first, last] = stretch(o.frequency_width, F);
    for (std::int64_t t = 0; t < T; ++t) {
      float* row = features.values.data() + t * F;
      std::fill(row + first, row + last, 0.f);
    }
  }
  const auto longest = static_cast<std::int64_t>(o.time_share * static_cast<double>(T));
  for (int i = 0; i < o.time_masks; ++i) {
    const auto [first, last] = stretch(std::min(o.time_width, longest), T);
    std::fill(features.values.data() + first * F, features.values.data() + last * F, 0.f);
  }
}

}  // namespace rapt::tasks
