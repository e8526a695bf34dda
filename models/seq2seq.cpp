#include "models/seq2seq.hpp"

#include "framework/core/options.hpp"
#include "framework/graph/scope.hpp"
#include "models/layers/ids.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

AttentiveGruOptions decoder_options(const Seq2SeqOptions& o) {
  const char* const op = "GruSeq2Seq";
  check_at_least(op, "source_vocab", o.source_vocab, 1);
  check_at_least(op, "target_vocab", o.target_vocab, 1);
  check_at_least(op, "embed", o.embed, 1);
  check_at_least(op, "hidden", o.hidden, 1);
  check_at_least(op, "readout", o.readout, 0);
  check_share(op, "dropout", o.dropout);
  return {.vocab = o.target_vocab,
          .memory = 2 * o.hidden,
          .embed = o.embed,
          .hidden = o.hidden,
          .attention = o.attention,
          .readout = o.readout,
          .dropout = o.dropout};
}

}  // namespace

GruSeq2Seq::GruSeq2Seq(const Seq2SeqOptions& o, Key key)
    : AttentiveGru(decoder_options(o), key),
      source_embedding(o.source_vocab, o.embed, key.fold(0), {.stddev = 0.1}),
      encoder(o.embed, o.hidden, key.fold(2), {.bidirectional = true}),
      bridge(o.hidden, o.hidden, key.fold(3), {.activation = Activation::tanh}),
      pad(o.pad) {}

GruSeq2Seq::Encoded GruSeq2Seq::encode(const Arg& source) const {
  const Scope scope(*this, source.where);
  const Arg ids = checked_ids("GruSeq2Seq", "source", source);  // [B, S]
  Encoded encoded;
  encoded.lengths = sum(ne(ids, pad), {1});                      // [B]
  const Var embedded = dropout(source_embedding.by_steps(ids));  // [S, B, E]
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
  const SentencePairs ids = checked_pairs("GruSeq2Seq", source, target_in);
  return decode(encode(ids.source), ids.target);
}

}  // namespace v0
}  // namespace rapt
