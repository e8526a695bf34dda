#include <fmt/format.h>

#include <rapt/framework/error.hpp>
#include <rapt/framework/recycled.hpp>
#include <rapt/framework/scope.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/models/seq2seq.hpp>
#include <rapt/ops/dropout.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/reduce.hpp>
#include <rapt/ops/shape.hpp>

namespace rapt {

GruSeq2Seq::GruSeq2Seq(const Seq2SeqOptions& o, Key key)
    : source_embedding(o.source_vocab, o.embed, key.fold(0), {.stddev = 0.1}),
      target_embedding(o.target_vocab, o.embed, key.fold(1), {.stddev = 0.1}),
      encoder(o.embed, o.hidden, key.fold(2), {.bidirectional = true}),
      bridge(o.hidden, o.hidden, key.fold(3), {.activation = Activation::tanh}),
      decoder(3, o.embed + 2 * o.hidden, o.hidden, key.fold(4)),
      dropout{o.dropout},
      pad(o.pad) {
  if (o.attention == AttentionKind::additive) {
    additive.emplace(o.hidden, 2 * o.hidden, o.hidden, key.fold(5));
  } else if (o.attention == AttentionKind::dot) {
    dot.emplace(o.hidden, 2 * o.hidden, key.fold(5));
  }
  const int64_t width = o.embed + 3 * o.hidden;  // state, embedding, context
  if (o.readout > 0) {
    readout.emplace(width, o.readout, key.fold(6), LinearOptions{.activation = Activation::tanh});
  }
  output = Linear(o.readout > 0 ? o.readout : width, o.target_vocab, key.fold(7));
}

GruSeq2Seq::Encoded GruSeq2Seq::encode(const Arg& source) const {
  const Scope scope(*this, source.where);
  const Var ids = as_var(source);  // [B, S]
  Encoded encoded;
  encoded.lengths = sum(not_equal(ids, pad), {1});                 // [B]
  const Var embedded = dropout(source_embedding(transpose(ids)));  // [S, B, E]
  const RecurrentOutput read = encoder(transpose(embedded, 0, 1), encoded.lengths);
  encoded.memory = read.states;                       // [B, S, 2H]
  const Var forward = select(read.last, 0, 0);        // [B, H]
  const Var backward = select(read.last, 0, 1);       // [B, H]
  encoded.context = concat({forward, backward}, -1);  // [B, 2H]
  encoded.state = bridge(backward);                   // [B, H]
  if (additive) encoded.keys = additive->keys(encoded.memory);
  if (dot) encoded.keys = dot->keys(encoded.memory);
  return encoded;
}

Attended GruSeq2Seq::look(const Encoded& encoded, const Var& state) const {
  const Mask mask = lengths(encoded.lengths);
  const int64_t sentences = encoded.context.size(0), rows = state.size(0);
  if (rows == sentences) {
    if (additive) return (*additive)(state, encoded.keys, encoded.memory, mask);
    if (dot) return (*dot)(state, encoded.keys, encoded.memory, mask);
    return {encoded.context, Var()};
  }
  if (sentences == 0 || rows % sentences != 0) {
    throw Error(fmt::format("step: {} rows are no multiple of {} sentences; at {}", rows, sentences,
                            to_string(Scope::current()->where())));
  }
  // Several rows look at one sentence: they are its queries.
  const int64_t width = rows / sentences;
  const Var queries = reshape(state, {sentences, width, state.size(1)});  // [L, W, H]
  if (!additive && !dot) {
    const int64_t C = encoded.context.size(1);
    const Var context = broadcast_to(unsqueeze(encoded.context, 1), {sentences, width, C});
    return {reshape(context, {rows, C}), Var()};
  }
  const Attended seen = additive ? (*additive)(queries, encoded.keys, encoded.memory, mask)
                                 : (*dot)(queries, encoded.keys, encoded.memory, mask);
  return {reshape(seen.context, {rows, seen.context.size(2)}),
          reshape(seen.weights, {rows, seen.weights.size(2)})};
}

Var GruSeq2Seq::logits_of(std::initializer_list<Var> parts) const {
  Var read = concat(parts, -1);  // [.., H + E + 2H]
  if (readout) read = (*readout)(read);
  return output(dropout(read));
}

GruSeq2Seq::Step GruSeq2Seq::step(const Encoded& encoded, const Arg& tokens,
                                  const Arg& state) const {
  const Scope scope(*this, tokens.where);
  const Var before = as_var(state);                        // [B, H]
  const Var embedded = dropout(target_embedding(tokens));  // [B, E]
  const Attended seen = look(encoded, before);
  const Var next = gru_cell(concat({embedded, seen.context}, -1), before, decoder.weight_ih,
                            decoder.weight_hh, decoder.bias_ih, decoder.bias_hh);  // [B, H]
  return {logits_of({next, embedded, seen.context}), next, seen.weights};
}

Var GruSeq2Seq::operator()(const Arg& source, const Arg& target_in) const {
  const Scope scope(*this, source.where);
  const Encoded encoded = encode(source);
  const Var embedded = dropout(target_embedding(transpose(as_var(target_in))));  // [T, B, E]
  const int64_t steps = embedded.size(0), width = embedded.size(2);
  // The embeddings' share of the gates is one product for all steps.
  const Var weight_ih = as_var(decoder.weight_ih);
  const Var weight_e = slice(weight_ih, 1, 0, width);               // [3H, E]
  const Var weight_c = slice(weight_ih, 1, width);                  // [3H, 2H]
  const Var gates_e = linear(embedded, weight_e, decoder.bias_ih);  // [T, B, 3H]

  if (!additive && !dot) {
    const Var gates = gates_e + linear(encoded.context, weight_c);  // [T, B, 3H]
    const Var states = gru_sequence(gates, encoded.state, decoder.weight_hh, decoder.bias_hh);
    const Var context = unsqueeze(encoded.context, 0);
    const Shape all{steps, context.size(1), context.size(2)};
    const Var parts = concat({states, embedded, broadcast_to(context, all)}, -1);
    return logits_of({transpose(parts, 0, 1)});
  }
  Var state = encoded.state;
  Recycled<Var> states, contexts;
  for (int64_t t = 0; t < steps; ++t) {
    const Attended seen = look(encoded, state);
    const Var gates = select(gates_e, 0, t) + linear(seen.context, weight_c);  // [B, 3H]
    state = gru_gates(gates, state, decoder.weight_hh, decoder.bias_hh);       // [B, H]
    states.push_back(state);
    contexts.push_back(seen.context);
  }
  return logits_of({stack(states, 1), transpose(embedded, 0, 1), stack(contexts, 1)});
}

}  // namespace rapt
