// Captioners as programs have them: words, batches, search, what each word looked at, and files.
#pragma once

#include <variant>

#include "examples/common/images/images.hpp"
#include "examples/common/scores/caption_scores.hpp"
#include "examples/common/text/text.hpp"
#include "models/captioner.hpp"
#include "models/decoding/beam_search.hpp"
#include "models/gru_steps.hpp"
#include "models/layers/probe.hpp"
#include "models/transformer_steps.hpp"

namespace rapt::examples {

/// Either of the models that describe pictures. Copies share their parameters.
using CaptionNet = std::variant<GruCaptioner, TransformerCaptioner>;
using CaptionNetOptions = std::variant<GruCaptionerOptions, TransformerCaptionerOptions>;

CaptionNet make_caption_net(const CaptionNetOptions& options, Key key);
/// The parameters, named.
std::vector<Parameter> parameters_of(CaptionNet& net);
const ImageEncoder& encoder_of(const CaptionNet& net);

using CaptionIds = std::vector<std::int32_t>;

/// Pictures of one size as a model reads them, see normalise(): float32 [B, 3, H, W].
Tensor images_tensor(std::span<const Image> images);

/// Captions for teacher forcing: captions[i] are those of picture i, K each at most. Rows i K to
/// i K + K - 1 belong to picture i; a row without a caption is all padding.
struct CaptionRows {
  Tensor in;                // int32 [B K, T]: begin mark, then the caption
  Tensor out;               // int32 [B K, T]: the caption, then the end mark
  std::int64_t tokens = 0;  // of `out`, without padding
};
CaptionRows caption_rows(std::span<const std::vector<CaptionIds>> captions);

/// A model and all the pictures, in the size that it reads.
struct CaptionReader {
  const CaptionNet& net;
  std::span<const Image> images;
};
/// Captions of all pictures by beam search (with a beam of 1: greedy), of one model or several as
/// an ensemble; the best of each.
std::vector<CaptionIds> search_captions(const std::vector<CaptionReader>& readers,
                                        std::int64_t batch_size, const BeamOptions& options);

/// What a decoder that `probe` saw looked at, with gradients: [B, K T, S] for K captions of T words
/// each. Of a Transformer's last layer, the mean of its heads.
Var looks_of(const AttentionProbe& probe);

/// What each word of captions looked at, [words, H' W'] for each picture: how much of each place,
/// as looks_of() has it.
std::vector<std::vector<float>> looked_at(const CaptionNet& net, std::span<const Image> images,
                                          std::span<const CaptionIds> captions,
                                          std::int64_t batch_size);

/// A model, its options and its words in one folder: model.safetensors, whose metadata says what it
/// is, and words.vocab, each written to a new file and renamed.
struct CaptionModel {
  CaptionNetOptions options;
  CaptionWords how;  // what is done to captions before they are words
  Vocabulary words;
  CaptionNet net;

  /// A caption's words as numbers, without marks.
  CaptionIds encode(std::string_view line) const { return words.encode(caption_words(line, how)); }
  /// The words with a blank between them.
  std::string decode(std::span<const std::int32_t> ids) const;
  const ImageEncoder& encoder() const { return encoder_of(net); }

  void save(const std::string& folder) { save(folder, "model.safetensors"); }
  /// Under another name in the folder.
  void save(const std::string& folder, const std::string& file);
  /// Throws Error or TextError where a file is missing or no such model.
  static CaptionModel load(const std::string& folder,
                           const std::string& file = "model.safetensors");
};

/// What a model is, in a few words.
std::string summary_of(const CaptionModel& model);

}  // namespace rapt::examples
