// The loss that translators learn by.
#include "tasks/translation/translation.hpp"

#include <cmath>

#include "framework/graph/tape.hpp"
#include "tests/models/model_gradient.hpp"
#include "tests/support/catch.hpp"

namespace rapt::tasks {
namespace {

constexpr std::int64_t vocab = 7;

Net small_net(bool transformer, double dropout) {
  if (!transformer) {
    return GruSeq2Seq({.source_vocab = vocab,
                       .target_vocab = vocab,
                       .embed = 4,
                       .hidden = 5,
                       .readout = 0,
                       .dropout = dropout,
                       .pad = Vocabulary::pad},
                      Key{1});
  }
  return Transformer({.source_vocab = vocab,
                      .target_vocab = vocab,
                      .width = 4,
                      .heads = 2,
                      .encoder_layers = 1,
                      .decoder_layers = 1,
                      .feed_forward = 6,
                      .dropout = dropout,
                      .max_length = 8,
                      .pad = Vocabulary::pad},
                     Key{1});
}

/// Three pairs, of which two have padding.
PairBatch small_batch() {
  PairSet pairs;
  pairs.source = {{4, 5}, {6, 4, 5}, {5}};
  pairs.target = {{6, 4}, {5}, {4, 4, 6}};
  const std::vector<std::int64_t> rows{0, 1, 2};
  return make_batch(pairs, rows);
}

Tensor twice(const Tensor& x) {
  const Tape tape;
  return concat({x, x}, 0).value().clone();
}

/// The loss as the paper writes it, from the logits of both runs, and halved.
double by_hand(const Net& net, const PairBatch& batch, Key key, const LossOptions& o) {
  const Tensor source = twice(batch.source), target_in = twice(batch.target_in);
  const Tape tape(Training{key});
  const Tensor logits = std::visit(
      [&](const auto& model) { return model(source, target_in).value().to(DType::float64); }, net);
  const std::span<const double> z = logits.data<double>();
  const std::vector<std::int32_t> labels = batch.target_out.to_vector<std::int32_t>();
  const std::size_t V = vocab, places = labels.size();
  const auto distribution = [&](std::size_t at) {
    std::vector<double> p(V);
    double sum = 0;
    for (std::size_t v = 0; v < V; ++v) sum += p[v] = std::exp(z[at * V + v]);
    for (double& one : p) one /= sum;
    return p;
  };
  double likelihood = 0, divergence = 0;
  for (std::size_t i = 0; i < places; ++i) {
    if (labels[i] == Vocabulary::pad) continue;
    const std::vector<double> p = distribution(i), q = distribution(places + i);
    for (const auto* one : {&p, &q}) {
      for (std::size_t v = 0; v < V; ++v) {
        const double label = std::cmp_equal(v, labels[i]) ? 1 : 0;
        const double wanted = (1 - o.label_smoothing) * label + o.label_smoothing / vocab;
        likelihood -= wanted * std::log((*one)[v]);
      }
    }
    for (std::size_t v = 0; v < V; ++v) {
      divergence += (p[v] * std::log(p[v] / q[v]) + q[v] * std::log(q[v] / p[v])) / 2;
    }
  }
  return (likelihood + o.r_drop * divergence) / (2 * static_cast<double>(batch.target_tokens));
}

TEST_CASE("R-Drop is what the paper says, over target tokens alone") {
  const PairBatch batch = small_batch();
  for (const bool transformer : {false, true}) {
    const Net net = small_net(transformer, 0.3);
    for (const double r_drop : {0.5, 5.0}) {
      const LossOptions o{.label_smoothing = 0.1, .r_drop = r_drop};
      const Tape tape(Training{Key{3}});
      CHECK(loss_of(net, batch, o).item() == Approx(by_hand(net, batch, Key{3}, o)).epsilon(1e-5));
    }
  }
}

TEST_CASE("without dropout R-Drop changes nothing") {
  const PairBatch batch = small_batch();
  const Net net = small_net(true, 0);
  const Tape tape(Training{Key{3}});
  CHECK(loss_of(net, batch, {.r_drop = 5}).item() == Approx(loss_of(net, batch).item()));
}

TEST_CASE("the gradient of R-Drop") {
  const PairBatch batch = small_batch();
  for (const bool transformer : {false, true}) {
    Net net = small_net(transformer, 0.3);
    check_model_gradient(
        parameters_of(net),
        [&] { return loss_of(net, batch, {.label_smoothing = 0.1, .r_drop = 5}); }, 3, Key{9});
  }
}

}  // namespace
}  // namespace rapt::tasks
