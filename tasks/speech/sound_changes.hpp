// Augmentation of utterances, so that every epoch hears them differently.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "tasks/audio/features.hpp"
#include "tasks/speech/utterances.hpp"

namespace rapt::tasks {

struct AugmentOptions {
  /// Share of utterances assembled anew from recordings of the list drawn at random. `mix_speakers`
  /// is the share of these in which each recording may be from another speaker.
  double mix = 0.8, mix_speakers = 0.5;
  /// Share of the assembled utterances that are a single recording.
  double mix_single = 0;
  /// Recordings are played 1 / (1 + speed) .. 1 + speed times as fast. On a logarithmic scale, two
  /// thirds of the range are drawn per utterance, the rest per recording.
  double speed = 0.2;
  /// One recording in two loses up to this share of its end, as if it had been stopped too early.
  double cut = 0;
  double level = 6;    // decibels of random change, after scaling recordings to one level
  double vtlp = 0.1;   // the filterbank is warped by 1 - vtlp .. 1 + vtlp
  double noise = 0.5;  // the share of utterances with noise
  double noise_low = 10, noise_high = 40;  // decibels below the utterance
  SpecAugmentOptions masks = {};
};

/// A part of an utterance that can be used elsewhere: one recording with its word. If words and
/// recordings do not correspond, it is the whole utterance.
struct Piece {
  std::string words, speaker;
  std::vector<std::string> files;
  std::vector<std::int64_t> gaps;
};

/// Returns the pieces of a list, each once.
std::vector<Piece> pieces_of(std::span<const Utterance> utterances);
/// Returns the pieces of one utterance.
std::vector<Piece> pieces_of(const Utterance& utterance);

struct Sound {
  std::vector<float> samples;
  std::string words;
};

/// Draws the training input of an epoch. All randomness comes from the keys.
class Augmenter {
 public:
  /// All recordings must have been read before, so that several threads may draw.
  Augmenter(const AugmentOptions& options, std::span<const Utterance> utterances,
            const Recordings& recordings, double most_seconds);

  /// Returns the longest duration of a sound, at the slowest speed that the options allow.
  double most_seconds() const { return most_seconds_ * (1 + options_.speed); }
  /// Returns the sound of an utterance with random changes, or of one assembled anew.
  Sound sound(const Utterance& utterance, Key key) const;
  /// Returns the features of a sound, augmented and normalised.
  Features features(const Filterbank& bank, const Sound& sound, Key key) const;

 private:
  Sound joined(const std::vector<Piece>& pieces, const std::vector<std::int64_t>& gaps,
               Key key) const;
  std::vector<float> varied(const Piece& one, double pace, Key key) const;

  AugmentOptions options_;
  const Recordings& recordings_;
  std::vector<Piece> pieces_;
  std::map<std::string, std::vector<std::size_t>> by_speaker_;  // indices into pieces_
  double most_seconds_;
  std::int64_t shortest_gap_ = 0, longest_gap_ = 0;
};

}  // namespace rapt::tasks
