// What training does to utterances, so that no two epochs hear the same.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "examples/common/audio/features.hpp"
#include "examples/common/speech/utterances.hpp"

namespace rapt::examples {

struct AugmentOptions {
  /// The share of utterances that are put together anew, from recordings of the list drawn at
  /// random, and the share of these where each recording may be of another speaker.
  double mix = 0.8, mix_speakers = 0.5;
  /// The share of those put together anew that are one recording alone.
  double mix_single = 0;
  /// Recordings are played 1 / (1 + speed) .. 1 + speed times as fast; two thirds of that (of its
  /// logarithm) are an utterance's, the rest each recording's own.
  double speed = 0.2;
  /// One recording in two loses up to this share of its end, as one that was stopped too early.
  double cut = 0;
  double level = 6;    // recordings, brought to one level, are so many decibels louder or softer
  double vtlp = 0.1;   // the filterbank is warped by 1 - vtlp .. 1 + vtlp
  double noise = 0.5;  // the share of utterances with noise
  double noise_low = 10, noise_high = 40;  // decibels below the utterance
  SpecAugmentOptions masks = {};
};

/// A part of an utterance that can stand elsewhere: a recording with its word, or, where words and
/// recordings do not correspond, all of it.
struct Piece {
  std::string words, speaker;
  std::vector<std::string> files;
  std::vector<std::int64_t> gaps;
};

/// The pieces of a list, each once.
std::vector<Piece> pieces_of(std::span<const Utterance> utterances);
/// The same of one utterance.
std::vector<Piece> pieces_of(const Utterance& utterance);

struct Sound {
  std::vector<float> samples;
  std::string words;
};

/// Makes what an epoch hears. Everything that is drawn follows from the keys.
class Augmenter {
 public:
  /// The recordings have been read before: several threads may draw.
  Augmenter(const AugmentOptions& options, std::span<const Utterance> utterances,
            const Recordings& recordings, double most_seconds);

  /// The longest that a sound may be, slowed down as far as the options say.
  double most_seconds() const { return most_seconds_ * (1 + options_.speed); }
  /// An utterance's sound, varied, or another put together anew.
  Sound sound(const Utterance& utterance, Key key) const;
  /// The features of a sound, varied and normalised.
  Features features(const Filterbank& bank, const Sound& sound, Key key) const;

 private:
  Sound joined(const std::vector<Piece>& pieces, const std::vector<std::int64_t>& gaps,
               Key key) const;
  std::vector<float> varied(const Piece& one, double pace, Key key) const;

  AugmentOptions options_;
  const Recordings& recordings_;
  std::vector<Piece> pieces_;
  std::map<std::string, std::vector<std::size_t>> by_speaker_;  // of pieces_
  double most_seconds_;
  std::int64_t shortest_gap_ = 0, longest_gap_ = 0;
};

}  // namespace rapt::examples
