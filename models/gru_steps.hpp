// Step-by-step decoding of GRU models, for beam search, sampling and ensembles.
#pragma once

#include <memory>

#include "framework/core/api.hpp"
#include "framework/core/function_ref.hpp"
#include "models/attentive_gru.hpp"
#include "models/decoding/step_model.hpp"
#include "models/seq2seq.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Encodes a batch and returns a model that is ready to decode it. `source` is int32 [B, S], padded
/// at the end. The model must outlive the returned object and must not change meanwhile.
std::unique_ptr<StepModel> start(const GruSeq2Seq& model, const Tensor& source);
/// Starts decoding over the memory of `sentences` sentences, which `encode` records on the current
/// tape. The decoder must outlive the returned object and must not change meanwhile.
std::unique_ptr<StepModel> start(const AttentiveGru& model, int64_t sentences,
                                 FunctionRef<AttentiveGru::Encoded()> encode);
}  // namespace v0
}  // namespace rapt
