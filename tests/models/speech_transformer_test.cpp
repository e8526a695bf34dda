// A recogniser that reads vectors: what padding does, its gradient, and its two heads together.
#include "models/speech_transformer.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "models/decoding/beam_search.hpp"
#include "models/decoding/ctc_decoding.hpp"
#include "models/transformer_steps.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/ctc.hpp"
#include "ops/rows/loss.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "tests/models/model_gradient.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

constexpr int32_t end = 3;

SpeechTransformer small_model() {
  return SpeechTransformer({.features = 10,
                            .vocab = 7,
                            .channels = 3,
                            .width = 8,
                            .heads = 2,
                            .encoder_layers = 2,
                            .decoder_layers = 1,
                            .feed_forward = 12,
                            .dropout = 0,
                            .max_frames = 20,
                            .max_length = 12},
                           Key{3});
}

Tensor ints(const std::vector<int32_t>& values) {
  return tensor(values, {static_cast<int64_t>(values.size())});
}

/// Utterance 0 of x [B, T, F] with `frames` frames, then as many others as `more` says.
Tensor cut(const Tensor& x, int64_t frames, int64_t more, float filling) {
  const int64_t F = x.shape()[2];
  Tensor y({1, frames + more, F});
  for (int64_t i = 0; i < y.size(); ++i) {
    const auto at = static_cast<size_t>(i);
    y.data<float>()[at] = i < frames * F ? x.data<float>()[at] : filling;
  }
  return y;
}

}  // namespace

TEST_CASE("frames behind an utterance's end change nothing, and a quarter is left") {
  const SpeechTransformer model = small_model();
  const Tensor x = normal(Key{4}, {1, 30, 10});
  for (const int32_t frames : {1, 4, 5, 21, 22, 23}) {
    const auto encode = [&](int64_t more, float filling) {
      const Tape tape;
      const auto encoded = model.encode(cut(x, frames, more, filling), ints({frames}));
      const Var logits = model.ctc_logits(encoded);
      Executor::current().run({encoded.memory, encoded.lengths, logits});
      REQUIRE(encoded.lengths.value().to_vector<int32_t>()[0] == (frames + 3) / 4);
      REQUIRE(logits.shape() == Shape{1, (frames + more + 3) / 4, 7});
      return logits.value().clone();
    };
    const Tensor alone = encode(0, 0), padded = encode(7, std::numeric_limits<float>::quiet_NaN());
    const auto bytes = static_cast<size_t>((frames + 3) / 4 * 7) * sizeof(float);
    CHECK(std::memcmp(alone.bytes(), padded.bytes(), bytes) == 0);
  }
}

TEST_CASE("vectors of another size are refused, and more than there are places for") {
  const SpeechTransformer model = small_model();
  const Tape tape;
  CHECK_THROWS_WITH(model.encode(normal(Key{1}, {1, 9, 20}), ints({9})),
                    Catch::Contains("expected features [B, T, F]"));
  CHECK_THROWS(model.encode(normal(Key{1}, {1, 90, 10}), ints({90})));
  CHECK_THROWS_WITH(start(model, normal(Key{1}, {1, 9, 10}), ints({9}), 1.5, end),
                    Catch::Contains("ctc_weight is 1.5, expected a number in [0, 1]"));
}

TEST_CASE("both heads write together, with the weights that they are given") {
  const SpeechTransformer model = small_model();
  const Tensor x = normal(Key{5}, {2, 19, 10}), frames = ints({19, 13});
  const auto scores = [&](double weight) {
    const auto steps = start(model, x, frames, weight, end);
    CHECK(steps->sentences() == 2);
    CHECK(steps->source_length(1) == 4);
    Stepper stepper(*steps);
    const auto all = [](const Var& s) { return std::vector<Var>{s}; };
    stepper.step({.tokens = {2, 2}, .parents = {}, .sentences = {0, 1}, .states = {}}, all);
    return stepper
        .step({.tokens = {5, 4}, .parents = {0, 1}, .sentences = {0, 1}, .states = {}}, all)[0]
        .clone();
  };
  const Tensor attention = scores(0), ctc = scores(1), joint = scores(0.3);
  const Tape tape;
  const auto encoded = model.encode(x, frames);
  const Tensor target_in = tensor(std::vector<int32_t>{2, 5, 2, 4}, {2, 2});
  const Var want = log_softmax(select(model.decode(encoded, target_in), 1, 1));  // [2, V]
  const std::vector<float> wanted = want.value().to_vector<float>();
  for (size_t i = 0; i < 14; ++i) {
    CHECK(attention.data<float>()[i] == Approx(wanted[i]).margin(1e-5));
    const double sum = 0.7 * double(wanted[i]) + 0.3 * double(ctc.data<float>()[i]);
    if (std::isfinite(sum)) CHECK(joint.data<float>()[i] == Approx(sum).margin(1e-5));
  }
  // CTC's share is that of its own prefix scores.
  const Tensor log_p = log_softmax(model.ctc_logits(encoded)).value();
  const auto alone = ctc_prefix_model(log_p, encoded.lengths.value(), {.end = end});
  const auto by_beam =
      beam_search(*alone, {.norm = LengthNorm::none, .stop = Stop::exact, .normalise = false});
  const auto from_model = start(model, x, frames, 1, end);
  const auto same =
      beam_search(*from_model, {.norm = LengthNorm::none, .stop = Stop::exact, .normalise = false});
  for (size_t b = 0; b < 2; ++b) CHECK(by_beam[b].at(0).tokens == same[b].at(0).tokens);
}

TEST_CASE("the gradient of both losses through all of the model") {
  SpeechTransformer model = small_model();
  for (Positions* positions : {&model.positions, &model.target_positions}) {
    positions->table = positions->table.to(DType::float64);
  }
  const Tensor x = normal(Key{6}, {2, 14, 10}, 0, 1, DType::float64);
  const Tensor in = tensor(std::vector<int32_t>{2, 5, 4, 2, 6, 0}, {2, 3});
  const Tensor out = tensor(std::vector<int32_t>{5, 4, 3, 6, 3, 0}, {2, 3});
  const auto loss = [&] {
    const auto encoded = model.encode(x, ints({14, 9}));
    return ctc_loss(model.ctc_logits(encoded), out, encoded.lengths, ints({2, 1})) +
           cross_entropy(model.decode(encoded, in), out, {.ignore = 0});
  };
  check_model_gradient(parameters(model), loss, 7);
}

}  // namespace rapt
