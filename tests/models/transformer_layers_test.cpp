// The layers that Transformers are made of, against the formulas of their papers.
#include <cmath>

#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "models/transformer.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/shape/embedding.hpp"
#include "ops/shape/shape.hpp"
#include "tests/models/drawn.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

const Key key{41};

/// y = x W' + b in double precision, [rows, out].
std::vector<double> product(const std::vector<double>& x, const std::vector<double>& weight,
                            const std::vector<double>& bias, size_t first, size_t out) {
  const size_t in = weight.size() / bias.size(), rows = x.size() / in;
  std::vector<double> y(rows * out);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t o = 0; o < out; ++o) {
      double sum = bias[first + o];
      for (size_t i = 0; i < in; ++i) sum += x[r * in + i] * weight[(first + o) * in + i];
      y[r * out + o] = sum;
    }
  }
  return y;
}

/// Attention with several heads of one sentence, by loops: x [T, C], memory [S, C].
std::vector<double> plain_heads(const MultiHeadAttention& a, const std::vector<double>& x,
                                const std::vector<double>& memory) {
  const auto C = static_cast<size_t>(a.width()), H = static_cast<size_t>(a.heads), D = C / H;
  const auto w = a.in_proj.weight.value().to_vector<double>();
  const auto b = a.in_proj.bias.value().to_vector<double>();
  const auto q = product(x, w, b, 0, C), k = product(memory, w, b, C, C);
  const auto v = product(memory, w, b, 2 * C, C);
  const size_t T = q.size() / C, S = k.size() / C;
  std::vector<double> y(T * C, 0.0);
  for (size_t h = 0; h < H; ++h) {
    for (size_t t = 0; t < T; ++t) {
      std::vector<double> weights(S);
      double total = 0;
      for (size_t s = 0; s < S; ++s) {
        double score = 0;
        for (size_t d = 0; d < D; ++d) score += q[t * C + h * D + d] * k[s * C + h * D + d];
        total += weights[s] = std::exp(score / std::sqrt(static_cast<double>(D)));
      }
      for (size_t s = 0; s < S; ++s) {
        for (size_t d = 0; d < D; ++d) {
          y[t * C + h * D + d] += weights[s] / total * v[s * C + h * D + d];
        }
      }
    }
  }
  return product(y, a.out_proj.weight.value().to_vector<double>(),
                 a.out_proj.bias.value().to_vector<double>(), 0, C);
}

}  // namespace

TEST_CASE("multi-head attention, to itself and to a memory") {
  MultiHeadAttention layer(12, 3, key.fold(0));
  layer.in_proj.bias.set(drawn(4, {36}));
  layer.out_proj.bias.set(drawn(5, {12}));
  const Tensor x = drawn(1, {1, 5, 12}), memory = drawn(2, {1, 7, 12});
  Tape tape;
  const Var own = layer(x), other = layer(x, memory);
  CHECK(own.shape() == Shape{1, 5, 12});
  // float against double: sums of a dozen terms of size 1
  const auto plain_x = x.to_vector<double>();
  CHECK(largest_difference(values(own), plain_heads(layer, plain_x, plain_x)) < 1e-5);
  CHECK(largest_difference(values(other), plain_heads(layer, plain_x, memory.to_vector<double>())) <
        1e-5);
  CHECK(largest_difference(values(own), values(layer(x, x))) < 1e-5);
  CHECK_THROWS_WITH(MultiHeadAttention(12, 5, key), Contains("5 heads") && Contains("12"));
}

TEST_CASE("heads of keys that several heads of queries share are these keys repeated") {
  const MultiHeadAttention layer(12, 6, key.fold(0), {.key_heads = 2});  // heads of 2
  MultiHeadAttention full(12, 6, key.fold(1));
  CHECK(layer.in_proj.weight.shape() == Shape{12 + 2 * 4, 12});
  // Rows of queries, and the rows of each head of keys and values three times.
  std::vector<int32_t> rows;
  for (int32_t r = 0; r < 12; ++r) rows.push_back(r);
  for (const int32_t first : {12, 16}) {
    for (int32_t head = 0; head < 6; ++head) {
      for (int32_t d = 0; d < 2; ++d) rows.push_back(first + head / 3 * 2 + d);
    }
  }
  const Tensor x = drawn(1, {2, 5, 12}), memory = drawn(2, {2, 7, 12});
  {
    Tape tape;
    const Tensor index = tensor(rows, {36});
    full.in_proj.weight.set(embedding(index, layer.in_proj.weight).value());
  }
  full.out_proj.weight.set(layer.out_proj.weight.value());
  Tape tape;
  CHECK(largest_difference(values(layer(x, causal())), values(full(x, causal()))) < 1e-5);
  CHECK(largest_difference(values(layer(x, memory)), values(full(x, memory))) < 1e-5);
  CHECK_THROWS_WITH(MultiHeadAttention(12, 6, key, {.key_heads = 4}),
                    Contains("6 heads cannot share 4"));
}

TEST_CASE("feed-forward layers, gated ones too") {
  FeedForward plain(6, 10, key.fold(0), {.activation = Activation::gelu});
  FeedForward gated(6, 10, key.fold(1), {.activation = Activation::silu, .gated = true});
  const Tensor x = drawn(1, {2, 3, 6});
  Tape tape;
  const auto times = [](const Var& y, const Linear& l) {
    return matmul(y, transpose(as_var(l.weight))) + l.bias;
  };
  CHECK(largest_difference(values(plain(x)),
                           values(times(gelu(times(as_var(x), plain.up)), plain.down))) < 1e-6);
  const Var gate = times(as_var(x), *gated.gate);
  const Var inner = gate * sigmoid(gate) * times(as_var(x), gated.up);
  CHECK(largest_difference(values(gated(x)), values(times(inner, gated.down))) < 1e-6);
  CHECK(parameters(gated).size() == 6);
  CHECK(parameters(plain).size() == 4);
}

TEST_CASE("multi-head attention takes three products or four, and no copies") {
  const MultiHeadAttention layer(12, 3, key);
  const Tensor x = drawn(1, {2, 5, 12}), memory = drawn(2, {2, 7, 12});
  Tape tape;
  const Var own = layer(x, causal()), other = layer(x, memory);
  CHECK(Executor::current().plan({&own, 1})->steps.size() == 3);
  CHECK(Executor::current().plan({&other, 1})->steps.size() == 4);
}

TEST_CASE("encoder and decoder layers normalise where they are told to") {
  const bool first = GENERATE(false, true);
  const TransformerLayerOptions options{
      .width = 8, .heads = 2, .feed_forward = 12, .dropout = 0, .norm_first = first};
  const EncoderLayer encoder(options, key.fold(0));
  const DecoderLayer decoder(options, key.fold(1));
  const Tensor x = drawn(1, {2, 3, 8}), memory = drawn(2, {2, 4, 8});
  Tape tape;
  Var y = as_var(x);
  if (first) {
    y = y + encoder.self_attention(encoder.norm1(y));
    y = y + encoder.feed_forward(encoder.norm2(y));
  } else {
    y = encoder.norm1(y + encoder.self_attention(y));
    y = encoder.norm2(y + encoder.feed_forward(y));
  }
  CHECK(largest_difference(values(encoder(x)), values(y)) < 1e-6);

  Var z = as_var(x);
  if (first) {
    z = z + decoder.self_attention(decoder.norm1(z), causal());
    z = z + decoder.cross_attention(decoder.norm2(z), memory);
    z = z + decoder.feed_forward(decoder.norm3(z));
  } else {
    z = decoder.norm1(z + decoder.self_attention(z, causal()));
    z = decoder.norm2(z + decoder.cross_attention(z, memory));
    z = decoder.norm3(z + decoder.feed_forward(z));
  }
  CHECK(largest_difference(values(decoder(x, memory, causal(), {})), values(z)) < 1e-6);
}

TEST_CASE("sinusoidal positions") {
  const std::vector<double> table = sinusoidal_positions(6, 5).to_vector<double>();
  CHECK(table[0] == 0);
  CHECK(table[1] == 1);
  CHECK(table[3 * 5 + 0] == Approx(std::sin(3.0)));
  CHECK(table[3 * 5 + 1] == Approx(std::cos(3.0)));
  CHECK(table[4 * 5 + 2] == Approx(std::sin(4 / std::pow(10000.0, 0.4))));
  CHECK(table[4 * 5 + 4] == Approx(std::sin(4 / std::pow(10000.0, 0.8))));
}
}  // namespace rapt
