#include "models/attentive_gru.hpp"

#include <fmt/format.h>

#include "framework/core/options.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/scope.hpp"
#include "models/layers/ids.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/axes.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

namespace {

void check_rows(const char* op, int64_t rows, int64_t sentences) {
  if (sentences > 0 && rows % sentences == 0) return;
  fail(op, fmt::format("{} rows are no multiple of {} sentences", rows, sentences),
       Scope::current()->where());
}

const AttentiveGruOptions& checked(const AttentiveGruOptions& o) {
  const char* const op = "AttentiveGru";
  check_at_least(op, "vocab", o.vocab, 1);
  check_at_least(op, "memory", o.memory, 1);
  check_at_least(op, "embed", o.embed, 1);
  check_at_least(op, "hidden", o.hidden, 1);
  check_at_least(op, "readout", o.readout, 0);
  check_share(op, "dropout", o.dropout);
  return o;
}

/// Repeats the row of each sentence for all of its rows: [B, C] -> [rows, C].
Var for_rows(const Var& x, int64_t rows) {
  const int64_t sentences = x.size(0), C = x.size(1);
  if (rows == sentences) return x;
  return reshape(broadcast_to(unsqueeze(x, 1), {sentences, rows / sentences, C}), {rows, C});
}

}  // namespace

AttentiveGru::AttentiveGru(const AttentiveGruOptions& o, Key key)
    : target_embedding(checked(o).vocab, o.embed, key.fold(1), {.stddev = 0.1}),
      decoder(3, o.embed + o.memory, o.hidden, key.fold(4)),
      dropout{o.dropout} {
  if (o.attention == AttentionKind::additive) {
    additive.emplace(o.hidden, o.memory, o.hidden, key.fold(5));
  } else if (o.attention == AttentionKind::dot) {
    dot.emplace(o.hidden, o.memory, key.fold(5));
  }
  if (o.gate) gate.emplace(o.hidden, 1, key.fold(8));
  const int64_t width = o.hidden + o.embed + o.memory;
  if (o.readout > 0) {
    readout.emplace(width, o.readout, key.fold(6), LinearOptions{.activation = Activation::tanh});
  }
  output = Linear(o.readout > 0 ? o.readout : width, o.vocab, key.fold(7));
}

Var AttentiveGru::keys(const Var& memory) const {
  if (additive) return additive->keys(memory);
  if (dot) return dot->keys(memory);
  return {};
}

Attended AttentiveGru::look_at_memory(const Encoded& encoded, const Var& state) const {
  const Mask mask = encoded.lengths.is_empty() ? Mask() : lengths(encoded.lengths);
  const int64_t sentences = encoded.state.size(0), rows = state.size(0);
  check_rows("AttentiveGru::step", rows, sentences);
  if (!additive && !dot) return {for_rows(encoded.context, rows), Var()};
  if (rows == sentences) {
    if (additive) return (*additive)(state, encoded.keys, encoded.memory, mask);
    return (*dot)(state, encoded.keys, encoded.memory, mask);
  }
  // Several rows attend to one sentence: treat them as its queries.
  const int64_t width = rows / sentences;
  const Var queries = reshape(state, {sentences, width, state.size(1)});  // [L, W, H]
  const Attended seen = additive ? (*additive)(queries, encoded.keys, encoded.memory, mask)
                                 : (*dot)(queries, encoded.keys, encoded.memory, mask);
  return {reshape(seen.context, {rows, seen.context.size(2)}),
          reshape(seen.weights, {rows, seen.weights.size(2)})};
}

Attended AttentiveGru::look(const Encoded& encoded, const Var& state) const {
  Attended seen = look_at_memory(encoded, state);
  if (gate) seen.context = seen.context * sigmoid((*gate)(state));
  return seen;
}

Var AttentiveGru::logits_of(std::initializer_list<Var> parts) const {
  Var read = concat(parts, -1);  // [.., H + E + M]
  if (readout) read = (*readout)(read);
  return output(dropout(read));
}

AttentiveGru::Step AttentiveGru::step(const Encoded& encoded, const Arg& tokens,
                                      const Arg& state) const {
  const Scope scope(*this, tokens.where);
  const Var before = as_var(state);  // [B, H]
  const Arg words(as_var(tokens), tokens.where);
  const Shape of_words = words.var()->shape();
  if (of_words.rank() != 1 || before.shape() != Shape{of_words[0], decoder.hidden()}) {
    fail("AttentiveGru::step",
         fmt::format("expected tokens [B] and states [B, {}], got {} and {}", decoder.hidden(),
                     to_string(of_words), to_string(before.shape())),
         tokens.where);
  }
  const Var embedded = dropout(target_embedding(words));  // [B, E]
  const Attended seen = look(encoded, before);
  const Var next = gru_cell(concat({embedded, seen.context}, -1), before, decoder.weight_ih,
                            decoder.weight_hh, decoder.bias_ih, decoder.bias_hh);  // [B, H]
  return {logits_of({next, embedded, seen.context}), next, seen.weights};
}

Var AttentiveGru::decode(const Encoded& encoded, const Arg& target_in) const {
  const Scope scope(*this, target_in.where);
  const Arg ids = checked_ids("AttentiveGru::decode", "target_in", target_in);
  const Var embedded = dropout(target_embedding.by_steps(ids));  // [T, B, E]
  const int64_t steps = embedded.size(0), rows = embedded.size(1), width = embedded.size(2);
  check_rows("AttentiveGru::decode", rows, encoded.state.size(0));
  const Var first = for_rows(encoded.state, rows);  // [B, H]
  // Computes the embeddings' part of the gates for all steps in one product.
  const Var weight_ih = as_var(decoder.weight_ih);
  const Var weight_e = slice(weight_ih, 1, 0, width);               // [3H, E]
  const Var weight_c = slice(weight_ih, 1, width);                  // [3H, M]
  const Var gates_e = linear(embedded, weight_e, decoder.bias_ih);  // [T, B, 3H]

  if (!additive && !dot) {
    const Var gates = gates_e + linear(for_rows(encoded.context, rows), weight_c);  // [T, B, 3H]
    const Var states = gru_sequence(gates, first, decoder.weight_hh, decoder.bias_hh);
    const Var context = unsqueeze(for_rows(encoded.context, rows), 0);
    const Shape all{steps, context.size(1), context.size(2)};
    const Var parts = concat({states, embedded, broadcast_to(context, all)}, -1);
    return logits_of({transpose(parts, 0, 1)});
  }
  Var state = first;
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

}  // namespace v0
}  // namespace rapt
