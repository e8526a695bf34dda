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

struct UtteranceListOptions {
  /// True: an utterance without words is an error. Recordings that are only to be recognised have
  /// none, and so has silence.
  bool needs_words = false;
};

/// Reads a list of utterances, which is one of:
///
/// - A file with one line per utterance and five columns separated by tabs: id, speaker, words,
///   files, and the gaps between the files in samples ("-" for one file). Several files, and their
///   gaps, are separated by spaces. The name of a single file may contain spaces.
/// - A file of JSON objects, one a line, as of NeMo: "audio_filepath" or "wav", "text" if there is
///   one, and optionally "id" and "speaker". Without an id it is the path of the file.
/// - A folder with Kaldi's files: wav.scp (id and path), text (id and words) if there is one, and
///   optionally utt2spk (id and speaker). Commands in place of a path are an error.
///
/// Throws TextError with file and line for a line of another form or an id that occurs twice.
/// Throws it too for gaps that are not numbers, exceed `longest_gap`, or are not one fewer than the
/// files. With `skipped`, such lines are left out and counted. A list without a usable line is
/// always an error.
std::vector<Utterance> read_utterances(const std::string& path, SkipReport* skipped = nullptr,
                                       const UtteranceListOptions& options = {});

inline constexpr std::int64_t longest_gap = 1 << 24;  // samples

struct RecordingOptions {
  bool resample = false;  // converts files of another rate
  bool mix = false;       // takes the mean of several channels
};

/// Recordings, each read once. Paths that are not absolute are those of a folder.
class Recordings {
 public:
  /// `rate` is the rate that all files must have, or are converted to; 0: that of the first one. No
  /// file and no utterance may be longer than `most_seconds`.
  explicit Recordings(std::string folder, int rate = 0, double most_seconds = 60,
                      const RecordingOptions& options = {})
      : folder_(std::move(folder)), rate_(rate), most_seconds_(most_seconds), options_(options) {}

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
  RecordingOptions options_;
  std::unordered_map<std::string, std::vector<float>> read_;
};

}  // namespace rapt::tasks
