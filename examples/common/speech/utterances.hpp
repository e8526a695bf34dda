// Lists of utterances, and the recordings that they are made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "examples/common/audio/audio.hpp"
#include "examples/common/text/text.hpp"

namespace rapt::examples {

/// What was said, and the recordings to be joined for it.
struct Utterance {
  std::string id, speaker, words;
  std::vector<std::string> files;
  std::vector<std::int64_t> gaps;  // samples of silence between neighbours
  std::int64_t line = 0;           // of the list
};

/// Reads a list: a line an utterance, with five columns between tabs: id, speaker, words, files,
/// and the gaps between these in samples ("-" where there is one file). The last three are divided
/// by blanks.
///
/// Throws TextError with file and line: another number of columns, an empty one, gaps that are no
/// numbers, longer than `longest_gap` or not one fewer than the files, an id that was there before.
/// With `skipped`, such lines are left out and counted; a file without any line that can be used is
/// an error anyway.
std::vector<Utterance> read_utterances(const std::string& path, SkipReport* skipped = nullptr);

inline constexpr std::int64_t longest_gap = 1 << 24;  // samples

/// The recordings in a folder, each read once.
class Recordings {
 public:
  /// `rate`: what all files have to have; 0: that of the first one. No file and no utterance may
  /// take longer than `most_seconds`.
  explicit Recordings(std::string folder, int rate = 0, double most_seconds = 60)
      : folder_(std::move(folder)), rate_(rate), most_seconds_(most_seconds) {}

  /// Reads a file, if it has not been read before. Throws AudioError.
  const std::vector<float>& samples(const std::string& file);
  int rate() const { return rate_; }

  /// Recordings that have been read, one after the other, with silence between.
  std::vector<float> join(const std::vector<std::string>& files,
                          const std::vector<std::int64_t>& gaps) const;

  /// Reads what an utterance is made of. Throws TextError with the list's file and line, and what
  /// is wrong with a recording.
  void read(const Utterance& utterance, const std::string& list);

  /// Reads what a list is made of, and gives the utterances that can be used. The others are an
  /// error, as in read(), or are left out and counted.
  std::vector<Utterance> readable(std::vector<Utterance> utterances, const std::string& list,
                                  SkipReport* skipped = nullptr);

 private:
  std::string folder_;
  int rate_;
  double most_seconds_;
  std::unordered_map<std::string, std::vector<float>> read_;
};

}  // namespace rapt::examples
