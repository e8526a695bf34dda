#include "models/seq2seq.hpp"

#include "framework/graph/scope.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"

namespace rapt::inline v0 {

GruSeq2Seq::GruSeq2Seq(const Seq2SeqOptions& o, Key key)
    : AttentiveGru({.vocab = o.target_vocab,
                    .memory = 2 * o.hidden,
                    .embed = o.embed,
                    .hidden = o.hidden,
                    .attention = o.attention,
                    .readout = o.readout,
                    .dropout = o.dropout},
                   key),
      source_embedding(o.source_vocab, o.embed, key.fold(0), {.stddev = 0.1}),
      encoder(o.embed, o.hidden, key.fold(2), {.bidirectional = true}),
      bridge(o.hidden, o.hidden, key.fold(3), {.activation = Activation::tanh}),
      pad(o.pad) {}

GruSeq2Seq::Encoded GruSeq2Seq::encode(const Arg& source) const {
  const Scope scope(*this, source.where);
  const Var ids = as_var(source);  // [B, S]
  Encoded encoded;
  encoded.lengths = sum(ne(ids, pad), {1});                        // [B]
  const Var embedded = dropout(source_embedding(transpose(ids)));  // [S, B, E]
  const RecurrentOutput read = encoder(transpose(embedded, 0, 1), encoded.lengths);
  encoded.memory = read.states;                       // [B, S, 2H]
  const Var forward = select(read.last, 0, 0);        // [B, H]
  const Var backward = select(read.last, 0, 1);       // [B, H]
  encoded.context = concat({forward, backward}, -1);  // [B, 2H]
  encoded.state = bridge(backward);                   // [B, H]
  encoded.keys = keys(encoded.memory);
  return encoded;
}

Var GruSeq2Seq::operator()(const Arg& source, const Arg& target_in) const {
  const Scope scope(*this, source.where);
  return decode(encode(source), target_in);
}

}  // namespace rapt::v0
