// Layers and the recurrent translator: padding, directions, teacher forcing against stepping.
#include <cmath>
#include <rapt/rapt.hpp>

#include "tests/models/model_gradient.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

Tensor ids(std::initializer_list<std::initializer_list<int32_t>> rows) {
  const auto width = static_cast<int64_t>(rows.begin()->size());
  std::vector<int32_t> values;
  for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  return tensor(values, {static_cast<int64_t>(rows.size()), width});
}

/// Rows of [B, T, ..] or [B, ..] as plain numbers.
std::vector<float> row(const Tensor& t, int64_t b, int64_t steps) {
  const std::vector<float> all = t.to_vector<float>();
  const int64_t per_row = t.size() / t.shape()[0];
  const int64_t kept = t.shape().rank() == 2 ? per_row : per_row / t.shape()[1] * steps;
  return {all.begin() + b * per_row, all.begin() + b * per_row + kept};
}

TEST_CASE("parameters are named by their path, shared ones once") {
  GruSeq2Seq model({.source_vocab = 9, .target_vocab = 8, .embed = 4, .hidden = 6}, Key{1});
  std::vector<std::string> names;
  for (const Parameter& p : parameters(model)) names.push_back(p.name());
  const std::vector<std::string> expected{"source_embedding/weight",
                                          "target_embedding/weight",
                                          "encoder/forward/0/weight_ih",
                                          "encoder/forward/0/weight_hh",
                                          "encoder/forward/0/bias_ih",
                                          "encoder/forward/0/bias_hh",
                                          "encoder/backward/0/weight_ih",
                                          "encoder/backward/0/weight_hh",
                                          "encoder/backward/0/bias_ih",
                                          "encoder/backward/0/bias_hh",
                                          "bridge/weight",
                                          "bridge/bias",
                                          "attention/query/weight",
                                          "attention/key/weight",
                                          "attention/key/bias",
                                          "attention/v",
                                          "decoder/weight_ih",
                                          "decoder/weight_hh",
                                          "decoder/bias_ih",
                                          "decoder/bias_hh",
                                          "output/weight",
                                          "output/bias"};
  CHECK(names == expected);
  model.target_embedding.weight = model.source_embedding.weight;
  CHECK(parameters(model).size() == expected.size() - 1);
}

void same(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  // A product of one row sums in another order than one of several: the last bit may differ.
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).epsilon(1e-5).margin(1e-6));
}

/// Neither the states nor the gradients know what stands behind a row's end, NaN included.
template <class Layer>
void padding_is_not_read(Layer layer) {
  const Tensor real = uniform(Key{4}, {3, 5, 4}, -1, 1),
               weights = uniform(Key{5}, {3, 5, 6}, -1, 1);
  const std::vector<int32_t> steps{5, 2, 4};
  const auto results = [&](float padding) {
    const Tensor x = real.clone();
    for (int64_t b = 0; b < 3; ++b) {
      float* end = x.data<float>().data() + (b + 1) * 20;
      std::fill(end - (5 - steps[static_cast<size_t>(b)]) * 4, end, padding);
    }
    Tape tape;
    const Var input = as_var(x);
    const RecurrentOutput out = layer(input, as_var(tensor(steps, {3})));
    const Var states = slice(out.states, 2, 0, 6);
    std::vector<Var> wanted{input};
    for (const Parameter& p : parameters(layer)) wanted.push_back(as_var(p));
    std::vector<std::vector<float>> all{out.states.value().to_vector<float>()};
    for (const Var& g : grad(sum(states * weights), wanted)) {
      all.push_back(g.value().to_vector<float>());
    }
    return all;
  };
  const auto clean = results(0);
  CHECK(results(std::numeric_limits<float>::quiet_NaN()) == clean);
  CHECK(results(-std::numeric_limits<float>::infinity()) == clean);
}

template <class Layer>
void padded_is_alone(const Layer& layer) {
  const Tensor x = uniform(Key{4}, {3, 5, 4}, -1, 1);
  const std::vector<int32_t> steps{5, 2, 4};
  Tape tape;
  const Var lengths = as_var(tensor(steps, {3}));
  const RecurrentOutput together = layer(x, lengths);
  for (int64_t b = 0; b < 3; ++b) {
    const int64_t length = steps[static_cast<size_t>(b)];
    const Var one = slice(slice(x, 0, b, b + 1), 1, 0, length);
    const RecurrentOutput alone = layer(one);
    same(row(together.states.value(), b, length), row(alone.states.value(), 0, length));
    for (int64_t d = 0; d < together.last.size(0); ++d) {
      same(row(select(together.last, 0, d).value(), b, 1),
           row(select(alone.last, 0, d).value(), 0, 1));
    }
  }
  // What fills up the batch makes no difference, not in one bit.
  const Var longer = concat({as_var(x), as_var(full({3, 6, 4}, 1e3))}, 1);
  const RecurrentOutput padded = layer(longer, lengths);
  CHECK(padded.last.value().to_vector<float>() == together.last.value().to_vector<float>());
  for (int64_t b = 0; b < 3; ++b) {
    const int64_t length = steps[static_cast<size_t>(b)];
    CHECK(row(padded.states.value(), b, length) == row(together.states.value(), b, length));
  }
}

TEST_CASE("a padded batch gives exactly what the sentences give alone") {
  for (const bool both : {false, true}) {
    padded_is_alone(GRU(4, 6, Key{2}, {.layers = 2, .bidirectional = both}));
    padded_is_alone(LSTM(4, 6, Key{2}, {.layers = 2, .bidirectional = both}));
    padding_is_not_read(GRU(4, 6, Key{2}, {.layers = 2, .bidirectional = both}));
    padding_is_not_read(LSTM(4, 6, Key{2}, {.layers = 2, .bidirectional = both}));
  }
}

TEST_CASE("a stack over a sequence is its cells, step by step") {
  GRU layer(4, 6, Key{2});
  GRUCell cell;
  static_cast<RecurrentWeights&>(cell) = layer.forward[0];
  const Tensor x = uniform(Key{4}, {2, 5, 4}, -1, 1);
  Tape tape;
  const RecurrentOutput all = layer(x);
  Var h = as_var(zeros({2, 6}));
  for (int t = 0; t < 5; ++t) {
    h = cell(select(x, 1, t), h);
    const std::vector<float> step = h.value().to_vector<float>();
    const std::vector<float> given = select(all.states, 1, t).value().to_vector<float>();
    for (size_t i = 0; i < step.size(); ++i) CHECK(given[i] == Approx(step[i]).margin(1e-6));
  }
  LSTM memory(4, 6, Key{3});
  LSTMCell memory_cell;
  static_cast<RecurrentWeights&>(memory_cell) = memory.forward[0];
  const RecurrentOutput states = memory(x);
  LstmState state{as_var(zeros({2, 6})), as_var(zeros({2, 6}))};
  for (int t = 0; t < 5; ++t) state = memory_cell(select(x, 1, t), state);
  const std::vector<float> c = state.c.value().to_vector<float>();
  const std::vector<float> last = states.last_cells.value().to_vector<float>();
  for (size_t i = 0; i < c.size(); ++i) CHECK(last[i] == Approx(c[i]).margin(1e-6));
}

TEST_CASE("teacher forcing gives what decoding gives step by step, with every attention") {
  for (const AttentionKind kind :
       {AttentionKind::none, AttentionKind::additive, AttentionKind::dot}) {
    for (const int64_t readout : {0, 10}) {
      const GruSeq2Seq model({.source_vocab = 20,
                              .target_vocab = 15,
                              .embed = 8,
                              .hidden = 12,
                              .attention = kind,
                              .readout = readout},
                             Key{3});
      const Tensor source = ids({{5, 6, 7, 8}, {9, 4, 0, 0}});
      const Tensor in = ids({{2, 4, 5}, {2, 7, 9}});
      Tape tape;
      const Var logits = model(source, in);
      CHECK(logits.shape() == Shape{2, 3, 15});
      const GruSeq2Seq::Encoded encoded = model.encode(source);
      Var state = encoded.state;
      for (int t = 0; t < 3; ++t) {
        const GruSeq2Seq::Step step = model.step(encoded, select(in, 1, t), state);
        state = step.state;
        const std::vector<float> a = step.logits.value().to_vector<float>();
        const std::vector<float> b = select(logits, 1, t).value().to_vector<float>();
        for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).margin(1e-5));
        if (step.weights.is_empty()) continue;
        const std::vector<float> weights = step.weights.value().to_vector<float>();
        CHECK(weights[6] == 0);  // padding is not looked at
        CHECK(weights[4] + weights[5] == Approx(1));
      }
    }
  }
}

/// softmax(scores) memory of one sentence by loops, over the keys below `seen`; the weights behind.
std::vector<double> looked(const std::vector<double>& scores, const std::vector<float>& memory,
                           size_t seen, size_t width) {
  double total = 0;
  std::vector<double> context(width, 0.0), weights(scores.size(), 0.0);
  for (size_t t = 0; t < seen; ++t) total += weights[t] = std::exp(scores[t]);
  for (size_t t = 0; t < seen; ++t) {
    weights[t] /= total;
    for (size_t m = 0; m < width; ++m) context[m] += weights[t] * double(memory[t * width + m]);
  }
  context.insert(context.end(), weights.begin(), weights.end());
  return context;
}

/// Checks an attention layer, queries [2, 5] looking at a memory [2, 4, M] of lengths 4 and 2, by
/// its scores: score(q, row of the memory). Then several queries at once, and a mask of queries.
void check_attention(const auto& layer, int64_t M, const auto& score) {
  const Tensor q = uniform(Key{1}, {2, 5}, -1, 1), memory = uniform(Key{2}, {2, 4, M}, -1, 1);
  Tape tape;
  const Var keys = layer.keys(memory);
  const Mask mask = lengths(tensor(std::vector<int32_t>{4, 2}, {2}));
  const Attended seen = layer(q, keys, memory, mask);
  const std::vector<float> context = seen.context.value().to_vector<float>();
  const std::vector<float> weights = seen.weights.value().to_vector<float>();
  CHECK(seen.context.shape() == Shape{2, M});
  CHECK(seen.weights.shape() == Shape{2, 4});
  for (int64_t b = 0; b < 2; ++b) {
    const std::vector<float> query = row(q, b, 1), own = row(memory, b, 4);
    std::vector<double> scores;
    for (int64_t t = 0; t < 4; ++t) {
      scores.push_back(
          score(query, std::vector<float>(own.begin() + t * M, own.begin() + (t + 1) * M)));
    }
    const auto width = static_cast<size_t>(M), sentence = static_cast<size_t>(b);
    const std::vector<double> expected = looked(scores, own, b == 0 ? 4 : 2, width);
    for (size_t m = 0; m < width; ++m) {
      CHECK(context[sentence * width + m] == Approx(expected[m]).margin(1e-6));
    }
    for (size_t t = 0; t < 4; ++t) {
      CHECK(weights[sentence * 4 + t] == Approx(expected[width + t]).margin(1e-6));
    }
  }

  // Three queries, of which the last stands at the last key.
  const Tensor three = uniform(Key{3}, {2, 3, 5}, -1, 1);
  const Attended all = layer(three, keys, memory, mask & causal());
  CHECK(all.context.shape() == Shape{2, 3, M});
  CHECK(all.weights.shape() == Shape{2, 3, 4});
  const Attended last = layer(select(three, 1, 2), keys, memory, mask);
  const std::vector<float> a = select(all.context, 1, 2).value().template to_vector<float>();
  const std::vector<float> z = last.context.value().template to_vector<float>();
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(z[i]).margin(1e-6));
  const std::vector<float> w = all.weights.value().template to_vector<float>();
  CHECK((w[2] == 0 && w[3] == 0 && w[7] == 0 && w[6] > 0));
}

TEST_CASE("attention layers of Luong and of Bahdanau, with one call and the same masks") {
  const auto dot = [](const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += double(a[i]) * double(b[i]);
    return sum;
  };
  const auto times = [](const Parameter& weight, const std::vector<float>& x) {
    const std::vector<float> w = weight.value().to_vector<float>();
    std::vector<float> y;
    for (size_t at = 0; at < w.size(); at += x.size()) {
      double sum = 0;
      for (size_t i = 0; i < x.size(); ++i) sum += double(w[at + i]) * double(x[i]);
      y.push_back(static_cast<float>(sum));
    }
    return y;
  };
  check_attention(DotAttention(), 5, dot);
  const GeneralAttention general(5, 3, Key{7});
  check_attention(general, 3, [&](const auto& q, const auto& m) {
    return dot(q, times(general.key.weight, m));
  });
  const ConcatAttention concatenated(5, 3, 6, Key{8});
  check_attention(concatenated, 3, [&](const auto& q, const auto& m) {
    std::vector<float> joined = q;
    joined.insert(joined.end(), m.begin(), m.end());
    std::vector<float> hidden = times(concatenated.both.weight, joined);
    for (float& x : hidden) x = std::tanh(x);
    return dot(concatenated.v.value().template to_vector<float>(), hidden);
  });
  const AdditiveAttention additive(5, 3, 6, Key{9});
  check_attention(additive, 3, [&](const auto& q, const auto& m) {
    const std::vector<float> a = times(additive.query.weight, q);
    std::vector<float> hidden = times(additive.key.weight, m);
    const std::vector<float> bias = additive.key.bias.value().template to_vector<float>();
    for (size_t i = 0; i < hidden.size(); ++i) hidden[i] = std::tanh(hidden[i] + a[i] + bias[i]);
    return dot(additive.v.value().template to_vector<float>(), hidden);
  });
}

TEST_CASE("a probe sees every step of a recurrent decoder") {
  GruSeq2Seq model({.source_vocab = 20, .target_vocab = 15, .embed = 8, .hidden = 12}, Key{3});
  const std::vector<Parameter> all = parameters(model);
  AttentionProbe probe;
  Tape tape;
  model(ids({{5, 6, 7, 8}, {9, 4, 0, 0}}), ids({{2, 4, 5}, {2, 7, 9}}));
  CHECK(probe.layers() == std::vector<std::string>{"attention"});
  CHECK(probe.calls("attention") == 3);
  const std::vector<float> weights = probe.weights("attention", 2).to_vector<float>();
  CHECK(weights[4] + weights[5] == Approx(1));
  CHECK(weights[6] == 0);
}

TEST_CASE("a translation does not depend on the batch it is in") {
  const GruSeq2Seq model({.source_vocab = 20, .target_vocab = 15, .embed = 8, .hidden = 12},
                         Key{3});
  const GreedyOptions options{.max_length = 9, .weights = true};
  const auto together = greedy(model, ids({{5, 6, 7, 8}, {9, 4, 0, 0}}), options);
  const auto alone = greedy(model, ids({{9, 4}}), options);
  CHECK(together[1].tokens == alone[0].tokens);
  CHECK(together[1].tokens.size() <= 9);
  REQUIRE(together[1].weights.size() >= together[1].tokens.size());
  CHECK(together[1].weights[0].size() == 4);
}

TEST_CASE("decoding ends each row at its end mark") {
  // A model that copies: trained until it does, on rows of different lengths.
  GruSeq2Seq model({.source_vocab = 8, .target_vocab = 8, .embed = 16, .hidden = 32}, Key{3});
  Adam adam(parameters(model), {.lr = 1e-2, .clip_norm = 1});
  const Tensor source = ids({{4, 5, 6}, {6, 5, 0}, {7, 0, 0}});
  const Tensor in = ids({{2, 4, 5, 6}, {2, 6, 5, 0}, {2, 7, 0, 0}});
  const Tensor out = ids({{4, 5, 6, 3}, {6, 5, 3, 0}, {7, 3, 0, 0}});
  double loss = 0;
  for (int step = 0; step < 150; ++step) {
    Tape tape;
    const Var l = cross_entropy(model(source, in), out, {.ignore = 0});
    adam.step(l);
    loss = l.item();
  }
  CHECK(loss < 0.05);
  const auto decoded = greedy(model, source);
  CHECK(decoded[0].tokens == std::vector<int32_t>{4, 5, 6});
  CHECK(decoded[1].tokens == std::vector<int32_t>{6, 5});
  CHECK(decoded[2].tokens == std::vector<int32_t>{7});
}

TEST_CASE("a whole model's gradient is right in double precision") {
  GruSeq2Seq model({.source_vocab = 6, .target_vocab = 5, .embed = 3, .hidden = 4, .readout = 3},
                   Key{3});
  const Tensor source = ids({{5, 3, 1}, {2, 4, 0}}), in = ids({{2, 4}, {2, 1}}),
               out = ids({{4, 3}, {1, 3}});
  check_model_gradient(
      parameters(model),
      [&] { return cross_entropy(model(source, in), out, {.label_smoothing = 0.1}); }, 7);
}

TEST_CASE("an id that is not in the table is named") {
  const Embedding table(5, 3, Key{1});
  Tape tape;
  CHECK_THROWS_WITH(table(ids({{1, 7}})).value(), Contains("embedding") && Contains("7"));
}

}  // namespace
}  // namespace rapt
