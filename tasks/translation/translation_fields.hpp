// The options of translation models: one description for files, commands and print.
#pragma once

#include "models/seq2seq.hpp"
#include "models/transformer.hpp"
#include "tasks/model_files/fields.hpp"

namespace rapt::tasks {

inline constexpr Name<PositionKind> position_kinds[] = {
    {PositionKind::none, "none"},
    {PositionKind::sinusoidal, "sinusoidal"},
    {PositionKind::learned, "learned"},
    {PositionKind::rotary, "rotary"},
    {PositionKind::alibi, "alibi"},
    {PositionKind::learned_alibi, "learned-alibi"},
    {PositionKind::t5, "t5"}};
inline constexpr Name<AttentionKind> attention_kinds[] = {{AttentionKind::none, "none"},
                                                          {AttentionKind::additive, "additive"},
                                                          {AttentionKind::dot, "dot"}};
inline constexpr Name<Activation> activations[] = {{Activation::relu, "relu"},
                                                   {Activation::gelu, "gelu"}};
inline constexpr Name<Tying> tyings[] = {
    {Tying::none, "none"}, {Tying::output, "output"}, {Tying::all, "all"}};

template <class Visitor>
void fields(Visitor& v, Seq2SeqOptions& o) {
  v.number("source_vocab", o.source_vocab, nullptr);
  v.number("target_vocab", o.target_vocab, nullptr);
  v.number("embed", o.embed, "width of the embeddings");
  v.number("hidden", o.hidden, "width of the states");
  v.number("readout", o.readout, "width of the layer before the output; 0: none");
  v.choice("attention", o.attention, attention_kinds, "additive, dot or none");
}

template <class Visitor>
void fields(Visitor& v, TransformerOptions& o) {
  v.number("source_vocab", o.source_vocab, nullptr);
  v.number("target_vocab", o.target_vocab, nullptr);
  v.number("encoder_layers", o.encoder_layers, "encoder layers");
  v.number("decoder_layers", o.decoder_layers, "decoder layers; 0: as many");
  v.number("width", o.width, "width of the layers");
  v.number("heads", o.heads, "heads of attention");
  v.number("feed_forward", o.feed_forward, "inner width");
  v.choice("activation", o.activation, activations, nullptr);
  v.flag("norm_first", o.norm_first, "normalise the input of each layer, not its output");
  v.choice("positions", o.positions, position_kinds,
           "position encodings: sinusoidal or learned, added to the embeddings; rotary, alibi,"
           " learned-alibi or t5, inside self-attention; or none");
  v.choice("tying", o.tying, tyings, nullptr);
  v.number("max_length", o.max_length, nullptr);
}

}  // namespace rapt::tasks
