#include "models/captioner.hpp"

#include "framework/core/options.hpp"
#include "framework/graph/scope.hpp"
#include "ops/reduce/reduce.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

ImageEncoderOptions as_wide(ImageEncoderOptions options, int64_t width) {
  options.memory = width;
  return options;
}

AttentiveGruOptions decoder_options(const GruCaptionerOptions& o) {
  const char* const op = "GruCaptioner";
  check_at_least(op, "vocab", o.vocab, 1);
  check_at_least(op, "embed", o.embed, 1);
  check_at_least(op, "hidden", o.hidden, 1);
  check_at_least(op, "readout", o.readout, 0);
  check_share(op, "dropout", o.dropout);
  check_at_least(op, "image.memory", o.image.memory, 1);
  return {.vocab = o.vocab,
          .memory = o.image.memory,
          .embed = o.embed,
          .hidden = o.hidden,
          .gate = true,
          .readout = o.readout,
          .dropout = o.dropout};
}

int64_t pictures(const Tensor& images) { return images.shape().rank() > 0 ? images.shape()[0] : 0; }

}  // namespace

GruCaptioner::GruCaptioner(const GruCaptionerOptions& o, Key key)
    : AttentiveGru(decoder_options(o), key),
      encoder(o.image, key.fold(2)),
      bridge(o.image.memory, o.hidden, key.fold(3), {.activation = Activation::tanh}) {}

GruCaptioner::Encoded GruCaptioner::encode(const Arg& images) const {
  const Scope scope(*this, images.where);
  Encoded encoded;
  encoded.memory = encoder(images);                   // [B, S, M]
  encoded.keys = keys(encoded.memory);                // [B, S, H]
  encoded.state = bridge(mean(encoded.memory, {1}));  // [B, H]
  return encoded;
}

Var GruCaptioner::operator()(const Arg& images, const Arg& target_in) const {
  const Scope scope(*this, images.where);
  return decode(encode(images), target_in);
}

TransformerCaptioner::TransformerCaptioner(const TransformerCaptionerOptions& o, Key key)
    : TransformerDecoder(o.decoder, key), encoder(as_wide(o.image, o.decoder.width), key.fold(2)) {}

TransformerCaptioner::Encoded TransformerCaptioner::encode(const Arg& images) const {
  const Scope scope(*this, images.where);
  return {encoder(images), {}};
}

Var TransformerCaptioner::operator()(const Arg& images, const Arg& target_in) const {
  const Scope scope(*this, images.where);
  return decode(encode(images), target_in);
}

std::unique_ptr<StepModel> start(const GruCaptioner& model, const Tensor& images) {
  return start(model, pictures(images), [&] { return model.encode(images); });
}

std::unique_ptr<StepModel> start(const TransformerCaptioner& model, const Tensor& images) {
  return start(model, pictures(images), [&] { return model.encode(images); });
}

}  // namespace v0
}  // namespace rapt
