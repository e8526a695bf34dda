#include "tasks/speech/sound_changes.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "tasks/text/unicode.hpp"

namespace rapt::tasks {
namespace {

/// Returns a uniform number in [low, high).
double between(Key key, std::uint64_t index, double low, double high) {
  return low + (high - low) * key.uniform(index);
}

double from_decibels(double decibels) { return std::pow(10, decibels / 20); }

// Purposes of the numbers of a key.
enum Draw : std::uint64_t {
  mixed,
  with_others,
  alone,
  piece,
  gap,
  warped,
  noisy,
  noise_level,
  noise_colour,
  speed,
  level,
  shortened
};

/// Adds noise of RMS `height`: white for colour 0, up to a spectrum that falls by 6 dB per octave.
void add_noise(std::vector<float>& samples, double height, double colour, Key key) {
  std::vector<float> noise(samples.size());
  double before = 0;
  for (std::size_t i = 0; i < noise.size(); ++i) {
    before = colour * before + key.uniform(i) - 0.5;
    noise[i] = static_cast<float>(before);
  }
  const double own = rms(noise);
  if (own == 0) return;
  const auto gain = static_cast<float>(height / own);
  for (std::size_t i = 0; i < noise.size(); ++i) samples[i] += gain * noise[i];
}

}  // namespace

std::vector<Piece> pieces_of(const Utterance& utterance) {
  const Sentence words = split_white_space(utterance.words);
  if (words.size() != utterance.files.size()) {
    return {{utterance.words, utterance.speaker, utterance.files, utterance.gaps}};
  }
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < words.size(); ++i)
    pieces.push_back({words[i], utterance.speaker, {utterance.files[i]}, {}});
  return pieces;
}

std::vector<Piece> pieces_of(std::span<const Utterance> utterances) {
  std::vector<Piece> pieces;
  std::set<std::tuple<std::string, std::string, std::vector<std::string>>> known;
  for (const Utterance& utterance : utterances) {
    for (Piece& one : pieces_of(utterance)) {
      if (known.emplace(one.words, one.speaker, one.files).second) pieces.push_back(std::move(one));
    }
  }
  return pieces;
}

Augmenter::Augmenter(const AugmentOptions& options, std::span<const Utterance> utterances,
                     const Recordings& recordings, double most_seconds)
    : options_(options),
      recordings_(recordings),
      pieces_(pieces_of(utterances)),
      most_seconds_(most_seconds) {
  for (std::size_t i = 0; i < pieces_.size(); ++i) by_speaker_[pieces_[i].speaker].push_back(i);
  bool any = false;
  for (const Utterance& utterance : utterances) {
    for (const std::int64_t own : utterance.gaps) {
      shortest_gap_ = any ? std::min(shortest_gap_, own) : own;
      longest_gap_ = std::max(longest_gap_, own);
      any = true;
    }
  }
}

std::vector<float> Augmenter::varied(const Piece& one, double pace, Key key) const {
  std::vector<float> samples = recordings_.join(one.files, one.gaps);
  const double lost = options_.cut * std::max(0.0, between(key, shortened, -1, 1));
  samples.resize(samples.size() -
                 static_cast<std::size_t>(lost * static_cast<double>(samples.size())));
  const double most = std::log1p(options_.speed);
  if (most > 0) {
    samples = change_speed(samples,
                           std::exp(pace * most * 2 / 3 + between(key, speed, -1, 1) * most / 3));
  }
  constexpr double usual = 0.1;  // target RMS
  const double own = rms(samples);
  const double louder = from_decibels(between(key, level, -options_.level, options_.level));
  const auto gain = static_cast<float>(own > 0 ? louder * usual / own : 1);
  for (float& x : samples) x *= gain;
  return samples;
}

Sound Augmenter::joined(const std::vector<Piece>& pieces, const std::vector<std::int64_t>& gaps,
                        Key key) const {
  Sound sound;
  const double pace = between(key, speed, -1, 1);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (i > 0) {
      sound.samples.resize(sound.samples.size() + static_cast<std::size_t>(gaps[i - 1]), 0.f);
      sound.words += ' ';
    }
    const std::vector<float> part = varied(pieces[i], pace, key.fold(i));
    sound.samples.insert(sound.samples.end(), part.begin(), part.end());
    sound.words += pieces[i].words;
  }
  return sound;
}

Sound Augmenter::sound(const Utterance& utterance, Key key) const {
  std::vector<Piece> pieces = pieces_of(utterance);
  std::vector<std::int64_t> gaps = utterance.gaps;
  gaps.resize(pieces.size() - 1);
  if (key.uniform(mixed) < options_.mix) {
    std::vector<Piece> others;
    std::vector<std::int64_t> other_gaps;
    const bool one_speaker = key.uniform(with_others) >= options_.mix_speakers;
    const std::vector<std::size_t>& same = by_speaker_.at(utterance.speaker);
    const std::size_t count = key.uniform(alone) < options_.mix_single ? 1 : pieces.size();
    for (std::size_t i = 0; i < count; ++i) {
      const Key own = key.fold(i);
      const auto drawn = static_cast<std::size_t>(
          own.below(one_speaker ? std::ssize(same) : std::ssize(pieces_), piece));
      others.push_back(pieces_[one_speaker ? same[drawn] : drawn]);
      other_gaps.push_back(shortest_gap_ + own.below(longest_gap_ - shortest_gap_ + 1, gap));
    }
    Sound sound = joined(others, other_gaps, key.fold(pieces.size()));
    const double seconds = static_cast<double>(sound.samples.size()) / recordings_.rate();
    if (seconds <= most_seconds()) return sound;
  }
  return joined(pieces, gaps, key.fold(pieces.size()));
}

Features Augmenter::features(const Filterbank& bank, const Sound& sound, Key key) const {
  const AugmentOptions& o = options_;
  const double warp = between(key, warped, 1 - o.vtlp, 1 + o.vtlp);
  Features features;
  if (key.uniform(noisy) < o.noise) {
    std::vector<float> samples = sound.samples;
    const double below = between(key, noise_level, o.noise_low, o.noise_high);
    add_noise(samples, rms(samples) * from_decibels(-below), key.uniform(noise_colour),
              key.fold(0));
    features = bank(samples, warp);
  } else {
    features = bank(sound.samples, warp);
  }
  normalise(features);
  spec_augment(features, o.masks, key.fold(1));
  return features;
}

}  // namespace rapt::tasks
