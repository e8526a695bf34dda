#include "tasks/audio/audio.hpp"

#include <fmt/format.h>
#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numbers>
#include <optional>

#include "tasks/audio/containers.hpp"
#include "tasks/data/file_kinds.hpp"

namespace rapt::tasks {
namespace {

struct CloseFile {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using File = std::unique_ptr<SNDFILE, CloseFile>;

constexpr int most_rate = 10'000'000;  // samples per second; more is damage
constexpr sf_count_t most_frames = sf_count_t{1} << 48;

/// Returns what the file's own header says, or nothing if the file cannot be looked at.
std::optional<ContainerFacts> facts_of(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error) || error) return {};
  const std::uint64_t size = std::filesystem::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  if (error || !file) return {};
  return read_container(file, size);
}

/// A file in which four bytes of 0 read as 0xFF. libsndfile knows that size as unknown, and 0 as
/// empty.
struct FilledFile {
  std::ifstream file;
  sf_count_t size = 0, zero_at = 0;

  static FilledFile& of(void* data) { return *static_cast<FilledFile*>(data); }
  static sf_count_t seek(sf_count_t offset, int whence, void* data) {
    std::ifstream& file = of(data).file;
    file.clear();
    file.seekg(offset, whence == SEEK_SET   ? std::ios::beg
                       : whence == SEEK_CUR ? std::ios::cur
                                            : std::ios::end);
    return file.tellg();
  }
  static sf_count_t read(void* to, sf_count_t count, void* data) {
    FilledFile& self = of(data);
    const sf_count_t at = self.file.tellg();
    self.file.read(static_cast<char*>(to), count);
    const sf_count_t got = self.file.gcount();
    for (sf_count_t k = self.zero_at; k < self.zero_at + 4; ++k) {
      if (k >= at && k < at + got) static_cast<char*>(to)[k - at] = '\xFF';
    }
    if (got < count) self.file.clear();
    return got;
  }
  SF_VIRTUAL_IO io{.get_filelen = [](void* data) { return of(data).size; },
                   .seek = seek,
                   .read = read,
                   .write = [](const void*, sf_count_t, void*) { return sf_count_t{0}; },
                   .tell = [](void* data) { return sf_count_t{of(data).file.tellg()}; }};
};

/// Throws for a file that libsndfile does not open. Names its kind if that is known.
[[noreturn]] void fail_to_open(const std::string& path) {
  const std::string reason = sf_strerror(nullptr);
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) throw AudioError(path, reason);
  std::string begin(300, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(begin.data(), std::ssize(begin)) && file.gcount() == 0) {
    throw AudioError(path, file.is_open() && file.eof() ? "is empty" : reason);
  }
  begin.resize(static_cast<std::size_t>(file.gcount()));
  const std::string kind = kind_of_media(begin);
  throw AudioError(path, kind.empty() ? reason : fmt::format("{} ({})", kind, reason));
}

/// Returns one channel, the mean of all of them.
std::vector<float> mixed(std::span<const float> samples, std::size_t channels) {
  std::vector<float> mean;
  for (std::size_t i = 0; i + channels <= samples.size(); i += channels) {
    double sum = 0;
    for (const float x : samples.subspan(i, channels)) sum += x;
    mean.push_back(static_cast<float>(sum / static_cast<double>(channels)));
  }
  return mean;
}

/// Plays the samples `factor` times as fast, without a limit.
std::vector<float> interpolated(std::span<const float> samples, double factor) {
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

}  // namespace

Audio read_audio(const std::string& path, const AudioOptions& options) {
  const std::optional<ContainerFacts> facts = facts_of(path);
  if (facts && facts->rate && (*facts->rate == 0 || *facts->rate > most_rate)) {
    throw AudioError(path, fmt::format("has a rate of {} samples a second", *facts->rate));
  }
  SF_INFO info{};
  FilledFile filled;
  if (facts && facts->zero_at) {
    filled.file.open(path, std::ios::binary);
    filled.size = static_cast<sf_count_t>(std::filesystem::file_size(path));
    filled.zero_at = static_cast<sf_count_t>(*facts->zero_at);
  }
  const File file(filled.file.is_open() ? sf_open_virtual(&filled.io, SFM_READ, &info, &filled)
                                        : sf_open(path.c_str(), SFM_READ, &info));
  if (!file) fail_to_open(path);
  if (facts && facts->announced.value_or(0) > facts->held) {
    throw AudioError(path,
                     fmt::format("truncated: its samples take {} bytes, of which {} are there",
                                 *facts->announced, facts->held));
  }
  if (info.channels != 1 && !options.mix) {
    throw AudioError(path, fmt::format("has {} channels, expected one", info.channels));
  }
  if (info.channels < 1 || info.channels > 1024) {
    throw AudioError(path, fmt::format("has {} channels", info.channels));
  }
  if (info.samplerate < 1 || info.samplerate > most_rate) {
    throw AudioError(path, fmt::format("has a rate of {} samples a second", info.samplerate));
  }
  const bool resample = options.rate > 0 && info.samplerate != options.rate;
  if (resample && !options.resample) {
    throw AudioError(path, fmt::format("has a rate of {} samples a second, expected {}",
                                       info.samplerate, options.rate));
  }
  if (info.frames < 0 || info.frames > most_frames) {
    throw AudioError(path, fmt::format("damaged: its header speaks of {} samples", info.frames));
  }
  const double most = options.most_seconds * info.samplerate;
  if (static_cast<double>(info.frames) > most) {
    throw AudioError(path, fmt::format("has {} samples, more than the limit of {} seconds",
                                       info.frames, options.most_seconds));
  }
  Audio audio{.samples = {}, .rate = info.samplerate};
  const auto channels = static_cast<std::size_t>(info.channels);
  constexpr std::size_t frames_together = 4096;
  std::vector<float> block(frames_together * channels);
  std::int64_t count = 0;
  for (;;) {
    const sf_count_t n = sf_readf_float(file.get(), block.data(), frames_together);
    if (n <= 0) break;
    const std::size_t values = static_cast<std::size_t>(n) * channels;
    audio.samples.insert(audio.samples.end(), block.begin(),
                         block.begin() + static_cast<std::ptrdiff_t>(values));
    count += n;
    if (static_cast<double>(count) > most) {
      throw AudioError(path,
                       fmt::format("is longer than the limit of {} seconds", options.most_seconds));
    }
  }
  if (sf_error(file.get()) != SF_ERR_NO_ERROR) throw AudioError(path, sf_strerror(file.get()));
  if (count < info.frames) {
    throw AudioError(path,
                     fmt::format("truncated: the header speaks of {} samples, the file has {}",
                                 info.frames, count));
  }
  if (count == 0) throw AudioError(path, "has no samples");
  const auto bad = std::find_if(audio.samples.begin(), audio.samples.end(),
                                [](float x) { return !std::isfinite(x); });
  if (bad != audio.samples.end()) {
    throw AudioError(
        path, fmt::format("sample {} is not a finite number",
                          (bad - audio.samples.begin()) / static_cast<std::ptrdiff_t>(channels)));
  }
  if (channels > 1) audio.samples = mixed(audio.samples, channels);
  if (resample) {
    audio.samples = interpolated(audio.samples, static_cast<double>(audio.rate) / options.rate);
    audio.rate = options.rate;
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
  return interpolated(samples, factor);
}

double rms(std::span<const float> samples) {
  double total = 0;
  for (const float x : samples) total += static_cast<double>(x) * x;
  return samples.empty() ? 0 : std::sqrt(total / static_cast<double>(samples.size()));
}

}  // namespace rapt::tasks
