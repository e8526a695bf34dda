// Subword pieces learned from text. All uses of the SentencePiece library go through this file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::tasks {

enum class SubwordKind {
  bpe,      // byte pair encoding (Sennrich et al. 2016)
  unigram,  // a unigram language model (Kudo 2018)
};

struct SubwordOptions {
  std::int32_t size = 8000;  // most pieces, including the four special tokens
  SubwordKind kind = SubwordKind::bpe;
  /// True: normalises text first with SentencePiece's rules "nmt_nfkc", for example full-width
  /// digits to ASCII. False: decode() returns exactly the characters that were encoded.
  bool normalise = true;
};

/// One segmentation of a text, with its probability among those returned together.
struct Segmentation {
  std::vector<std::int32_t> pieces;
  double share = 1;
};

/// A SentencePiece model (Kudo and Richardson 2018). Converts text to pieces and ids and back,
/// including spaces. The special tokens have Vocabulary's ids.
class Subwords {
 public:
  /// Learns at most `size` pieces, fewer from a small text. Throws std::invalid_argument for a text
  /// without characters, or with more of them than pieces.
  static Subwords train(std::span<const std::string> lines, const SubwordOptions& options);

  /// Saves in SentencePiece's own format, which its tools read too. load() throws TextError.
  void save(const std::string& path) const;
  static Subwords load(const std::string& path);

  std::int32_t size() const;
  /// Returns the text of a piece. Throws std::out_of_range.
  std::string piece(std::int32_t id) const;
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// Returns the `most` likeliest segmentations of a text by a unigram model, likeliest first.
  /// Shares are the likelihoods to the power `alpha`, normalised (Kudo 2018, section 3.1). An empty
  /// text has none. Throws std::invalid_argument if the model is not a unigram model.
  std::vector<Segmentation> segmentations(std::string_view text, std::int32_t most,
                                          double alpha) const;
  /// Returns the plain text of the ids up to the first end mark. Throws std::out_of_range.
  std::string decode(std::span<const std::int32_t> ids) const;

 private:
  struct State;
  explicit Subwords(std::shared_ptr<const State> state) : state_(std::move(state)) {}

  std::shared_ptr<const State> state_;
};

}  // namespace rapt::tasks
