// Pieces of words, learned from text: the one door to the library SentencePiece.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rapt::examples {

enum class SubwordKind {
  bpe,      // byte pair encoding (Sennrich et al. 2016)
  unigram,  // a unigram language model (Kudo 2018)
};

struct SubwordOptions {
  std::int32_t size = 8000;  // pieces, with the four special tokens
  SubwordKind kind = SubwordKind::bpe;
  /// Whether text is brought to one form first (SentencePiece's rules "nmt_nfkc": full-width digits
  /// become ASCII, for one); otherwise what decode() gives has the characters that were read.
  bool normalise = true;
};

/// A way to cut a text into pieces, and how likely it is: its share among those found with it.
struct Segmentation {
  std::vector<std::int32_t> pieces;
  double share = 1;
};

/// A SentencePiece model (Kudo and Richardson 2018). Pieces of text and ids go both ways, blanks
/// included. The special tokens have Vocabulary's ids.
class Subwords {
 public:
  /// Throws std::invalid_argument where the text has too few different pieces for the size, or too
  /// many characters.
  static Subwords train(std::span<const std::string> lines, const SubwordOptions& options);

  /// The model's own file format, which SentencePiece's tools read too. load throws TextError.
  void save(const std::string& path) const;
  static Subwords load(const std::string& path);

  std::int32_t size() const;
  /// Throws std::out_of_range.
  std::string piece(std::int32_t id) const;
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// The `most` likeliest ways to cut a text, likeliest first, of a unigram model; shares are their
  /// likelihoods to the power `alpha`, normalised (Kudo 2018, section 3.1). A text of nothing has
  /// none. Throws std::invalid_argument where the model is no unigram model.
  std::vector<Segmentation> segmentations(std::string_view text, std::int32_t most,
                                          double alpha) const;
  /// Plain text of the ids up to the first end mark. Throws std::out_of_range.
  std::string decode(std::span<const std::int32_t> ids) const;

 private:
  struct State;
  explicit Subwords(std::shared_ptr<const State> state) : state_(std::move(state)) {}

  std::shared_ptr<const State> state_;
};

}  // namespace rapt::examples
