// Image captioning models: a convolutional encoder, and a decoder that attends to its grid at each
// word.
#pragma once

#include "framework/core/api.hpp"
#include "models/gru_steps.hpp"
#include "models/image_encoder.hpp"
#include "models/transformer_steps.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

struct GruCaptionerOptions {
  ImageEncoderOptions image = {};
  int64_t vocab = 0;
  int64_t embed = 256;   ///< width of the embeddings
  int64_t hidden = 512;  ///< width of the state
  int64_t readout = 0;   ///< width of a tanh layer before the output; 0: none
  double dropout = 0;    ///< dropout of embeddings and of the output layer's input
};

/// "Show, attend and tell" with soft attention (Xu et al. 2015) and a GRU as decoder. Each step
/// attends to the grid by additive attention, through a gate. The initial state is computed from
/// the mean of the grid.
struct GruCaptioner : AttentiveGru {
  ImageEncoder encoder;
  Linear bridge;  ///< from the grid's mean to the initial state

  GruCaptioner() = default;
  GruCaptioner(const GruCaptionerOptions& options, Key key);

  /// Encodes images [B, 3, height, width].
  Encoded encode(const Arg& images) const;
  /// Encodes and decodes with teacher forcing: target_in int32 [B K, T] -> logits [B K, T, V]. Each
  /// picture has K captions, in consecutive rows.
  Var operator()(const Arg& images, const Arg& target_in) const;

  void visit(auto&& f) {
    f("encoder", encoder);
    f("bridge", bridge);
    AttentiveGru::visit(f);
  }
};

struct TransformerCaptionerOptions {
  ImageEncoderOptions image = {};  ///< `memory` is ignored: it is the decoder's width
  TransformerDecoderOptions decoder = {};
};

/// An ImageEncoder with a Transformer decoder.
struct TransformerCaptioner : TransformerDecoder {
  ImageEncoder encoder;

  TransformerCaptioner() = default;
  TransformerCaptioner(const TransformerCaptionerOptions& options, Key key);

  /// Encodes images [B, 3, height, width].
  Encoded encode(const Arg& images) const;
  /// Encodes and decodes with teacher forcing: target_in int32 [B K, T] -> logits [B K, T, V]. Each
  /// picture has K captions, in consecutive rows.
  Var operator()(const Arg& images, const Arg& target_in) const;

  void visit(auto&& f) {
    f("encoder", encoder);
    TransformerDecoder::visit(f);
  }
};

/// Encodes pictures, float32 [B, 3, height, width], and returns a model that is ready to decode
/// captions. The model must outlive the returned object and must not change meanwhile.
std::unique_ptr<StepModel> start(const GruCaptioner& model, const Tensor& images);
std::unique_ptr<StepModel> start(const TransformerCaptioner& model, const Tensor& images);

}  // namespace v0
}  // namespace rapt
