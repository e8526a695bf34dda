// GRU models as models that write a token at a time, for beam search, sampling and ensembles.
#pragma once

#include <memory>

#include "framework/core/api.hpp"
#include "models/attentive_gru.hpp"
#include "models/decoding/step_model.hpp"
#include "models/seq2seq.hpp"

namespace rapt RAPT_API {

/// Encodes a batch, source int32 [B, S] padded at the end, and gets ready to write. The model has
/// to outlive what is returned, and must not change meanwhile.
std::unique_ptr<StepModel> start(const GruSeq2Seq& model, const Tensor& source);
/// The same for a decoder whose memory, of as many sentences, `encode` records on the current tape.
std::unique_ptr<StepModel> start(const AttentiveGru& model, int64_t sentences,
                                 FunctionRef<AttentiveGru::Encoded()> encode);
}  // namespace rapt
