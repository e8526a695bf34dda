// Transformers as models that write a token at a time, for beam search, sampling and ensembles.
#pragma once

#include <memory>

#include "framework/core/api.hpp"
#include "models/decoding/step_model.hpp"
#include "models/transformer.hpp"

namespace rapt RAPT_API {

/// Encodes a batch, source int32 [B, S] padded at the end, and gets ready to write. The model has
/// to outlive what is returned, and must not change meanwhile.
std::unique_ptr<StepModel> start(const Transformer& model, const Tensor& source);
/// The same for a decoder whose memory, of as many sentences, `encode` records on the current tape.
std::unique_ptr<StepModel> start(const TransformerDecoder& model, int64_t sentences,
                                 FunctionRef<TransformerDecoder::Encoded()> encode);
/// Gets ready to write a number of texts, each from its first token on.
std::unique_ptr<StepModel> start(const Gpt& model, int64_t texts);

}  // namespace rapt
