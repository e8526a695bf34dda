#include "models/speech_transformer.hpp"

#include <fmt/format.h>

#include <cmath>

#include "framework/core/options.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "models/decoding/ctc_decoding.hpp"
#include "models/decoding/ensemble.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/axes.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

constexpr Conv2dOptions halving{.stride = 2, .padding = 1};

/// Returns the output length of a convolution with stride 2.
int64_t halved(int64_t length) { return (length + 1) / 2; }

TransformerDecoderOptions decoder_options(const SpeechTransformerOptions& o) {
  const char* const op = "SpeechTransformer";
  check_at_least(op, "features", o.features, 1);
  check_at_least(op, "vocab", o.vocab, 1);
  check_at_least(op, "channels", o.channels, 1);
  check_at_least(op, "width", o.width, 1);
  check_at_least(op, "heads", o.heads, 1);
  check_at_least(op, "encoder_layers", o.encoder_layers, 0);
  check_at_least(op, "decoder_layers", o.decoder_layers, 0);
  check_at_least(op, "feed_forward", o.feed_forward, 1);
  check_at_least(op, "max_frames", o.max_frames, 1);
  check_at_least(op, "max_length", o.max_length, 1);
  check_share(op, "dropout", o.dropout);
  return {.vocab = o.vocab,
          .width = o.width,
          .heads = o.heads,
          .layers = o.decoder_layers,
          .feed_forward = o.feed_forward,
          .dropout = o.dropout,
          .norm_first = true,
          .tied = true,
          .max_length = o.max_length};
}

/// Sets frames of x [B, K, T, F] beyond the lengths [B] to zero. Otherwise the next convolution
/// would read them at the edge of the utterance.
Var cut(const Var& x, const Var& lengths) {
  std::vector<int32_t> times(static_cast<size_t>(x.size(2)));
  for (size_t t = 0; t < times.size(); ++t) times[t] = static_cast<int32_t>(t);
  const Var inside =
      lt(tensor(times, {1, 1, x.size(2), 1}), reshape(lengths, {x.size(0), 1, 1, 1}));
  return where(inside, x, 0);
}

}  // namespace

SpeechTransformer::SpeechTransformer(const SpeechTransformerOptions& o, Key key)
    : TransformerDecoder(decoder_options(o), key.fold(0)),
      conv1(1, o.channels, 3, key.fold(1), halving),
      conv2(o.channels, o.channels, 3, key.fold(2), halving),
      project(o.channels * halved(halved(o.features)), o.width, key.fold(3)),
      positions(PositionKind::sinusoidal, o.max_frames, o.width, key.fold(4)),
      encoder_norm(o.width, NormKind::layer),
      ctc(o.width, o.vocab, key.fold(5)) {
  const TransformerLayerOptions layer{.width = o.width,
                                      .heads = o.heads,
                                      .feed_forward = o.feed_forward,
                                      .dropout = o.dropout,
                                      .norm_first = true};
  for (int64_t i = 0; i < o.encoder_layers; ++i) {
    encoder.emplace_back(layer, key.fold(6).fold(static_cast<uint64_t>(i)));
  }
}

SpeechTransformer::Encoded SpeechTransformer::encode(const Arg& features,
                                                     const Arg& lengths_in) const {
  const Scope scope(*this, features.where);
  const Var frames = as_var(features);  // [B, T, F]
  Var ends = as_var(lengths_in);        // [B]
  const int64_t wanted = project.in() / conv2.weight.shape()[0];
  if (frames.rank() != 3 || halved(halved(frames.size(2))) != wanted) {
    fail("SpeechTransformer",
         fmt::format("expected features [B, T, F] with F / 4 = {}, got {}", wanted,
                     to_string(frames.shape())),
         features.where);
  }
  if (ends.dtype() != DType::int32 || ends.shape() != Shape{frames.size(0)}) {
    fail("SpeechTransformer",
         fmt::format("expected lengths int32 [{}] for features {}, got {} {}", frames.size(0),
                     to_string(frames.shape()), name(ends.dtype()), to_string(ends.shape())),
         lengths_in.where, ends.dtype() == DType::int32 ? ErrorKind::shape : ErrorKind::type);
  }
  Var x = cut(unsqueeze(frames, 1), ends);  // [B, 1, T, F]
  for (const Conv2d* conv : {&conv1, &conv2}) {
    ends = cast(floor((cast(ends, DType::float32) + 1) / 2), DType::int32);
    x = cut(relu((*conv)(x)), ends);  // [B, K, T / 2, F / 2], then quarters
  }
  const int64_t B = x.size(0), K = x.size(1), T = x.size(2), F = x.size(3);
  x = project(reshape(permute(x, {0, 2, 1, 3}), {B, T, K * F}));  // [B, T, C]
  // Scale by sqrt(C), as for embeddings, so that the position encodings do not dominate.
  x = dropout(positions(x * std::sqrt(static_cast<double>(project.out()))));
  const Mask mask = lengths(ends);
  for (const EncoderLayer& layer : encoder) x = layer(x, mask);
  return {encoder_norm(x), ends};
}

Var SpeechTransformer::ctc_logits(const Encoded& encoded) const {
  return ctc(dropout(encoded.memory));  // [B, T, V]
}

std::unique_ptr<StepModel> start(const SpeechTransformer& model, const Tensor& features,
                                 const Tensor& lengths, double ctc_weight, int32_t end) {
  check_share("SpeechTransformer", "ctc_weight", ctc_weight);
  Tensor memory, ends, log_p;
  {
    const Tape tape;
    const SpeechTransformer::Encoded encoded = model.encode(features, lengths);
    const Var log_probabilities = log_softmax(model.ctc_logits(encoded));
    Executor::current().run({encoded.memory, encoded.lengths, log_probabilities});
    memory = encoded.memory.value();
    ends = encoded.lengths.value();
    log_p = log_probabilities.value();
  }
  std::vector<std::unique_ptr<StepModel>> members;
  std::vector<double> weights;
  if (ctc_weight < 1) {
    members.push_back(start(model, memory.shape()[0], [&] {
      return SpeechTransformer::Encoded{as_var(memory), as_var(ends)};
    }));
    weights.push_back(1 - ctc_weight);
  }
  if (ctc_weight > 0) {
    members.push_back(ctc_prefix_model(log_p, ends, {.end = end}));
    weights.push_back(ctc_weight);
  }
  return ensemble(std::move(members), Average::log_probabilities, std::move(weights));
}

}  // namespace v0
}  // namespace rapt
