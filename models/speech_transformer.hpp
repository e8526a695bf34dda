// A speech recogniser: an encoder over feature vectors, a Transformer decoder, and a CTC head.
#pragma once

#include "framework/core/api.hpp"
#include "models/layers/convolution.hpp"
#include "models/transformer_steps.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct SpeechTransformerOptions {
  int64_t features = 40;  ///< F, the number of features per frame
  int64_t vocab = 0;      ///< V, of the decoder and of the CTC head, whose blank is class 0
  int64_t channels = 32;  ///< channels of the convolutions
  int64_t width = 144;    ///< C
  int64_t heads = 4;
  int64_t encoder_layers = 6;
  int64_t decoder_layers = 2;
  int64_t feed_forward = 576;
  double dropout = 0.1;
  int64_t max_frames = 2048;  ///< maximum number of vectors per utterance after the convolutions
  int64_t max_length = 512;   ///< maximum number of tokens per utterance
};

/// The Transformer of Dong et al. (2018) with the CTC head of Watanabe et al. (2017). Two
/// convolutions of stride 2 keep a quarter of the frames. Pre-normalised Transformer layers and a
/// decoder follow. Frames after the end of an utterance do not change any bit of the result.
struct SpeechTransformer : TransformerDecoder {
  Conv2d conv1;    ///< [channels, 1, 3, 3]
  Conv2d conv2;    ///< [channels, channels, 3, 3]
  Linear project;  ///< [C, channels * ceil(F / 4)]
  Positions positions;
  std::vector<EncoderLayer> encoder;
  Norm encoder_norm;
  Linear ctc;  ///< [V, C]

  SpeechTransformer() = default;
  SpeechTransformer(const SpeechTransformerOptions& options, Key key);

  /// Encodes features float32 [B, T, F] with lengths int32 [B]. Returns the memory
  /// [B, ceil(T / 4), C] and a quarter of the lengths, rounded up. Throws Error if F differs from
  /// the model's, or if there are more than `max_frames` vectors.
  Encoded encode(const Arg& features, const Arg& lengths) const;
  /// Returns the logits for ctc_loss: [B, ceil(T / 4), V].
  Var ctc_logits(const Encoded& encoded) const;

  void visit(auto&& f) {
    f("conv1", conv1);
    f("conv2", conv2);
    f("project", project);
    f("positions", positions);
    f("encoder", encoder);
    f("encoder_norm", encoder_norm);
    f("ctc", ctc);
    TransformerDecoder::visit(f);
  }
};

/// Starts joint decoding with attention and CTC (Watanabe et al. 2017, section II-C), after
/// encoding the batch. Scores are ctc_weight log p_ctc + (1 - ctc_weight) log p_attention. Use them
/// in a beam search with `normalise` off. A weight of 0 or 1 leaves the other part out. Throws
/// Error if the weight is outside [0, 1]. The model must outlive the returned object and must not
/// change meanwhile.
std::unique_ptr<StepModel> start(const SpeechTransformer& model, const Tensor& features,
                                 const Tensor& lengths, double ctc_weight, int32_t end);

}  // namespace v0
}  // namespace rapt
