#include "tasks/audio/audio.hpp"

#include <fmt/format.h>
#include <sndfile.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numbers>

namespace rapt::tasks {
namespace {

struct CloseFile {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using File = std::unique_ptr<SNDFILE, CloseFile>;

/// Checks the size in a WAV file's header. libsndfile reads a truncated file without an error. A
/// size of all ones is legal: a program that writes to a pipe cannot seek back to fill it in.
void check_riff_size(const std::string& path) {
  std::array<unsigned char, 8> head{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(head.data()), head.size())) return;
  if (std::string_view(reinterpret_cast<const char*>(head.data()), 4) != "RIFF") return;
  std::uint64_t size = 0;
  for (int byte = 0; byte < 4; ++byte) {
    size += static_cast<std::uint64_t>(head[static_cast<std::size_t>(4 + byte)]) << (8 * byte);
  }
  if (size == 0xFFFFFFFF) return;
  size += 8;
  std::error_code error;
  const std::uint64_t held = std::filesystem::file_size(path, error);
  if (!error && size > held) {
    throw AudioError(
        path, fmt::format("truncated: the header speaks of {} bytes, the file has {}", size, held));
  }
}

}  // namespace

Audio read_audio(const std::string& path, const AudioOptions& options) {
  SF_INFO info{};
  const File file(sf_open(path.c_str(), SFM_READ, &info));
  if (!file) throw AudioError(path, sf_strerror(nullptr));
  check_riff_size(path);
  if (info.channels != 1) {
    throw AudioError(path, fmt::format("has {} channels, expected one", info.channels));
  }
  if (info.samplerate < 1) throw AudioError(path, fmt::format("has a rate of {}", info.samplerate));
  if (options.rate > 0 && info.samplerate != options.rate) {
    throw AudioError(path, fmt::format("has a rate of {} samples a second, expected {}",
                                       info.samplerate, options.rate));
  }
  const double most = options.most_seconds * info.samplerate;
  if (static_cast<double>(info.frames) > most) {
    throw AudioError(path, fmt::format("has {} samples, more than the limit of {} seconds",
                                       info.frames, options.most_seconds));
  }
  Audio audio{.samples = {}, .rate = info.samplerate};
  std::array<float, 4096> block{};
  for (;;) {
    const sf_count_t n = sf_readf_float(file.get(), block.data(), block.size());
    if (n <= 0) break;
    audio.samples.insert(audio.samples.end(), block.begin(), block.begin() + n);
    if (static_cast<double>(audio.samples.size()) > most) {
      throw AudioError(path,
                       fmt::format("is longer than the limit of {} seconds", options.most_seconds));
    }
  }
  if (sf_error(file.get()) != SF_ERR_NO_ERROR) throw AudioError(path, sf_strerror(file.get()));
  const auto count = static_cast<std::int64_t>(audio.samples.size());
  if (count < info.frames) {
    throw AudioError(path,
                     fmt::format("truncated: the header speaks of {} samples, the file has {}",
                                 info.frames, count));
  }
  if (count == 0) throw AudioError(path, "has no samples");
  const auto bad = std::find_if(audio.samples.begin(), audio.samples.end(),
                                [](float x) { return !std::isfinite(x); });
  if (bad != audio.samples.end()) {
    throw AudioError(path,
                     fmt::format("sample {} is not a finite number", bad - audio.samples.begin()));
  }
  return audio;
}

void write_wav(const std::string& path, const Audio& audio) {
  SF_INFO info{};
  info.samplerate = audio.rate;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  const File file(sf_open(path.c_str(), SFM_WRITE, &info));
  if (!file) throw AudioError(path, sf_strerror(nullptr));
  sf_command(file.get(), SFC_SET_CLIPPING, nullptr, SF_TRUE);
  const auto count = static_cast<sf_count_t>(audio.samples.size());
  if (sf_writef_float(file.get(), audio.samples.data(), count) != count) {
    throw AudioError(path, sf_strerror(file.get()));
  }
}

std::vector<float> change_speed(std::span<const float> samples, double factor) {
  if (!(factor >= 0.25 && factor <= 4)) {
    throw std::invalid_argument(fmt::format("a speed has to be in [0.25, 4], it is {}", factor));
  }
  constexpr int crossings = 8, steps = 512;  // zero crossings of the kernel, and steps per crossing
  static const std::vector<float> kernel = [] {
    std::vector<float> values(crossings * steps + 2, 0.f);
    values[0] = 1;
    for (int i = 1; i < crossings * steps; ++i) {
      const double x = static_cast<double>(i) / steps, angle = std::numbers::pi * x;
      const double window = 0.5 * (1 + std::cos(angle / crossings));
      values[static_cast<std::size_t>(i)] = static_cast<float>(std::sin(angle) / angle * window);
    }
    return values;
  }();
  const auto n = static_cast<std::int64_t>(samples.size());
  const auto count = static_cast<std::int64_t>(std::floor(static_cast<double>(n) / factor));
  const double scale = std::min(1.0, 1 / factor);  // share of the band that both rates can hold
  const double reach = crossings / scale;
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    const double at = static_cast<double>(i) * factor;
    const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(std::ceil(at - reach)));
    const auto last = std::min<std::int64_t>(n - 1, static_cast<std::int64_t>(at + reach));
    double total = 0;
    for (std::int64_t j = first; j <= last; ++j) {
      const double place = std::abs(static_cast<double>(j) - at) * scale * steps;
      const auto below = static_cast<std::size_t>(place);
      const double share = place - static_cast<double>(below);
      const double weight = kernel[below] + share * (kernel[below + 1] - kernel[below]);
      total += weight * samples[static_cast<std::size_t>(j)];
    }
    out[static_cast<std::size_t>(i)] = static_cast<float>(total * scale);
  }
  return out;
}

double rms(std::span<const float> samples) {
  double total = 0;
  for (const float x : samples) total += static_cast<double>(x) * x;
  return samples.empty() ? 0 : std::sqrt(total / static_cast<double>(samples.size()));
}

}  // namespace rapt::tasks
