// Models that write what a picture shows: a convolutional encoder, and a decoder that looks at its
// grid, word by word.
#pragma once

#include "framework/core/api.hpp"
#include "models/gru_steps.hpp"
#include "models/image_encoder.hpp"
#include "models/transformer_steps.hpp"

namespace rapt RAPT_API {

struct GruCaptionerOptions {
  ImageEncoderOptions image = {};
  int64_t vocab = 0;
  int64_t embed = 256;   // width of the embeddings
  int64_t hidden = 512;  // width of a state
  int64_t readout = 0;   // width of a tanh layer before the output; 0: none
  double dropout = 0;    // of embeddings and of what the output layer reads
};

/// "Show, attend and tell" with soft attention (Xu et al. 2015), its recurrence a GRU: each step
/// looks at the grid by additive attention, through a gate. The first state is made of the grid's
/// mean.
struct GruCaptioner : AttentiveGru {
  ImageEncoder encoder;
  Linear bridge;  // from the grid's mean to the first state

  GruCaptioner() = default;
  GruCaptioner(const GruCaptionerOptions& options, Key key);

  /// images [B, 3, height, width].
  Encoded encode(const Arg& images) const;
  /// Teacher forcing: images, target_in int32 [B K, T], K captions a picture one after the other ->
  /// logits [B K, T, V].
  Var operator()(const Arg& images, const Arg& target_in) const;

  void visit(auto&& f) {
    f("encoder", encoder);
    f("bridge", bridge);
    AttentiveGru::visit(f);
  }
};

struct TransformerCaptionerOptions {
  ImageEncoderOptions image = {};  // `memory` is not read: it is the decoder's width
  TransformerDecoderOptions decoder = {};
};

/// The same encoder under a Transformer's decoder.
struct TransformerCaptioner : TransformerDecoder {
  ImageEncoder encoder;

  TransformerCaptioner() = default;
  TransformerCaptioner(const TransformerCaptionerOptions& options, Key key);

  /// images [B, 3, height, width].
  Encoded encode(const Arg& images) const;
  /// Teacher forcing: images, target_in int32 [B K, T], K captions a picture one after the other ->
  /// logits [B K, T, V].
  Var operator()(const Arg& images, const Arg& target_in) const;

  void visit(auto&& f) {
    f("encoder", encoder);
    TransformerDecoder::visit(f);
  }
};

/// Encodes pictures, float32 [B, 3, height, width], and gets ready to write about them. The model
/// has to outlive what is returned, and must not change meanwhile.
std::unique_ptr<StepModel> start(const GruCaptioner& model, const Tensor& images);
std::unique_ptr<StepModel> start(const TransformerCaptioner& model, const Tensor& images);

}  // namespace rapt
