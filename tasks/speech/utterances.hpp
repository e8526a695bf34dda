// Lists of utterances, and their recordings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tasks/audio/audio.hpp"
#include "tasks/text/text.hpp"

namespace rapt::tasks {

/// The words of an utterance, and the recordings to join for it.
struct Utterance {
  std::string id, speaker, words;
  std::vector<std::string> files;
  std::vector<std::int64_t> gaps;  // samples of silence between adjacent files
  std::int64_t line = 0;           // of the list
};

/// Reads a list with one line per utterance and five columns separated by tabs: id, speaker, words,
/// files, and the gaps between the files in samples ("-" for one file). The last three columns are
/// separated by spaces.
///
/// Throws TextError with file and line for another number of columns, an empty column, or an id
/// that occurs twice. Throws it too for gaps that are not numbers, exceed `longest_gap`, or are not
/// one fewer than the files. With `skipped`, such lines are left out and counted. A file without a
/// usable line is always an error.
/// an error anyway.
std::vector<Utterance> read_utterances(const std::string& path, SkipReport* skipped = nullptr);

inline constexpr std::int64_t longest_gap = 1 << 24;  // samples

/// The recordings in a folder, each read once.
class Recordings {
 public:
  /// `rate` is the rate that all files must have; 0: that of the first one. No file and no
  /// utterance may be longer than `most_seconds`.
  explicit Recordings(std::string folder, int rate = 0, double most_seconds = 60)
      : folder_(std::move(folder)), rate_(rate), most_seconds_(most_seconds) {}

  /// Returns the samples of a file, which is read only once. Throws AudioError.
  const std::vector<float>& samples(const std::string& file);
  int rate() const { return rate_; }

  /// Joins recordings that have been read, with silence between them.
  std::vector<float> join(const std::vector<std::string>& files,
                          const std::vector<std::int64_t>& gaps) const;

  /// Reads the recordings of an utterance. Throws TextError with the list's file and line, and the
  /// fault of the recording.
  void read(const Utterance& utterance, const std::string& list);

  /// Reads the recordings of a list and returns the usable utterances. Throws for the others as
  /// read() does, or leaves them out and counts them in `skipped`.
  std::vector<Utterance> readable(std::vector<Utterance> utterances, const std::string& list,
                                  SkipReport* skipped = nullptr);

 private:
  std::string folder_;
  int rate_;
  double most_seconds_;
  std::unordered_map<std::string, std::vector<float>> read_;
};

}  // namespace rapt::tasks
