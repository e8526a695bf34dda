// The caption models of the example programs: batches, beam search, attention weights, and files.
#pragma once

#include <variant>

#include "models/captioner.hpp"
#include "models/decoding/beam_search.hpp"
#include "models/gru_steps.hpp"
#include "models/layers/probe.hpp"
#include "models/transformer_steps.hpp"
#include "tasks/images/images.hpp"
#include "tasks/scores/caption_scores.hpp"
#include "tasks/text/text.hpp"

namespace rapt::tasks {

/// Either of the models that describe pictures. Copies share their parameters.
using CaptionNet = std::variant<GruCaptioner, TransformerCaptioner>;
using CaptionNetOptions = std::variant<GruCaptionerOptions, TransformerCaptionerOptions>;

CaptionNet make_caption_net(const CaptionNetOptions& options, Key key);
/// Returns the parameters with their names.
std::vector<Parameter> parameters_of(CaptionNet& net);
const ImageEncoder& encoder_of(const CaptionNet& net);

using CaptionIds = std::vector<std::int32_t>;

/// Stacks pictures of one size and normalises them with normalise(): float32 [B, 3, H, W].
Tensor images_tensor(std::span<const Image> images);

/// Captions for teacher forcing: captions[i] are those of picture i, at most K each. Rows i K to i
/// K + K - 1 belong to picture i. A row without a caption is all padding.
struct CaptionRows {
  Tensor in;                // int32 [B K, T]: begin mark, then the caption
  Tensor out;               // int32 [B K, T]: the caption, then the end mark
  std::int64_t tokens = 0;  // of `out`, without padding
};
CaptionRows caption_rows(std::span<const std::vector<CaptionIds>> captions);

/// A model, and all pictures in the size that it reads.
struct CaptionReader {
  const CaptionNet& net;
  std::span<const Image> images;
};
/// Returns the options of a beam search that never produces <unk>.
BeamOptions caption_search(std::int64_t beam, double length_penalty, std::int64_t max_length);
/// Captions all pictures by beam search (a beam of 1 is greedy), with one model or an ensemble.
/// Returns the best hypotheses of each picture.
std::vector<std::vector<Hypothesis>> search_pictures(const std::vector<CaptionReader>& readers,
                                                     std::int64_t batch_size,
                                                     const BeamOptions& options);
/// Returns the best caption of each picture.
std::vector<CaptionIds> search_captions(const std::vector<CaptionReader>& readers,
                                        std::int64_t batch_size, const BeamOptions& options);

/// Returns the attention weights that `probe` recorded, with gradients: [B, K T, S] for K captions
/// of T words each. For a Transformer, it is the mean over the heads of the last layer.
Var looks_of(const AttentionProbe& probe);

/// Returns the attention weights of captions, [words, H' W'] for each picture, as looks_of()
/// defines them.
std::vector<std::vector<float>> looked_at(const CaptionNet& net, std::span<const Image> images,
                                          std::span<const CaptionIds> captions,
                                          std::int64_t batch_size);

/// A model, its options and its words, stored in one folder. The files are model.safetensors, whose
/// metadata describes the model, and words.vocab. Each is written to a new file, then renamed.
struct CaptionModel {
  CaptionNetOptions options;
  CaptionWords how;  // processing of captions before they are split into words
  Vocabulary words;
  CaptionNet net;

  /// Returns the word ids of a caption, without marks.
  CaptionIds encode(std::string_view line) const { return words.encode(caption_words(line, how)); }
  /// Returns the words, separated by spaces.
  std::string decode(std::span<const std::int32_t> ids) const;
  const ImageEncoder& encoder() const { return encoder_of(net); }

  void save(const std::string& folder) { save(folder, "model.safetensors"); }
  /// Saves under another file name in the folder.
  void save(const std::string& folder, const std::string& file);
  /// Throws Error or TextError if a file is missing or holds no such model.
  static CaptionModel load(const std::string& folder,
                           const std::string& file = "model.safetensors");
};

/// Returns what the model of a folder is and how it was trained, as text for people. Throws Error
/// as load() does; the words are not read.
std::string caption_info(const std::string& folder);

/// Returns a short description of a model.
std::string summary_of(const CaptionModel& model);

}  // namespace rapt::tasks
