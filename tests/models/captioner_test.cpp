// Models that write about pictures: their parts, their gradients, and steps against all tokens at
// once.
#include "models/captioner.hpp"

#include <algorithm>
#include <cmath>
#include <rapt/rapt.hpp>

#include "tests/models/model_gradient.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

constexpr int64_t vocabulary = 9;
// 9 x 7 pixels -> 5 x 4 -> 3 x 2.
const ImageEncoderOptions small_image{
    .height = 9, .width = 7, .stages = {{4}, {6, 1}}, .groups = 2, .memory = 8};

GruCaptioner small_gru(uint64_t seed = 1) {
  return GruCaptioner(
      {.image = small_image, .vocab = vocabulary, .embed = 5, .hidden = 6, .readout = 7},
      Key{seed});
}

TransformerCaptioner small_transformer(uint64_t seed = 1) {
  return TransformerCaptioner({.image = small_image,
                               .decoder = {.vocab = vocabulary,
                                           .width = 8,
                                           .heads = 2,
                                           .layers = 2,
                                           .feed_forward = 10,
                                           .dropout = 0,
                                           .positions = PositionKind::learned,
                                           .max_length = 20}},
                              Key{seed});
}

Tensor pictures(int64_t count) { return uniform(Key{5}, {count, 3, 9, 7}, -1, 1); }

Tensor tokens(int64_t rows, int64_t steps) {
  Tensor t({rows, steps}, DType::int32);
  uint64_t i = 0;
  for (int32_t& id : t.data<int32_t>()) id = static_cast<int32_t>(Key{6}.below(vocabulary, i++));
  return t;
}

void same(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const auto x = a.to_vector<float>(), y = b.to_vector<float>();
  for (size_t i = 0; i < x.size(); ++i) CHECK(x[i] == Approx(y[i]).epsilon(1e-4).margin(1e-5));
}

template <class Model>
void check_gradient_of(Model model) {
  const Tensor images = pictures(2).to(DType::float64), in = tokens(4, 3), out = tokens(4, 3);
  check_model_gradient(
      parameters(model), [&] { return cross_entropy(model(images, in), out); }, 5);
}

/// Several captions of a picture are what each alone is with its picture.
template <class Model>
void check_several(const Model& model) {
  const Tensor images = pictures(2), in = tokens(6, 4);
  Tape tape;
  const Var together = model(images, in);  // [6, 4, V]
  REQUIRE(together.shape() == Shape{6, 4, vocabulary});
  for (int64_t row = 0; row < 6; ++row) {
    const Var image = slice(images, 0, row / 3, row / 3 + 1);
    same(slice(together, 0, row, row + 1).value(),
         model(image, slice(in, 0, row, row + 1)).value());
  }
  CHECK_THROWS_WITH(model(images, tokens(5, 4)), Contains("5 rows") && Contains("captioner_test"));
}

/// Steps of two rows a picture, the second picture leaving after two of them.
template <class Model>
void check_steps(const Model& model) {
  const Tensor images = pictures(3);
  const std::unique_ptr<StepModel> steps = start(model, images);
  CHECK(steps->sentences() == 3);
  Stepper stepper(*steps);
  std::vector<std::vector<int32_t>> rows{{1}, {2}, {3}, {4}, {5}, {6}};
  std::vector<int32_t> sentences{0, 1, 2}, parents;
  for (int t = 0; t < 4; ++t) {
    if (t == 2) {
      sentences = {0, 2};
      parents = {1, 0, 4, 4};
      rows = {rows[1], rows[0], rows[4], rows[4]};
      rows[3].back() = 8;
    }
    StepInput input{{}, parents, sentences, {}};
    for (const auto& row : rows) input.tokens.push_back(row.back());
    const Tensor scores = stepper.step(input, [](const Var& s) { return std::vector<Var>{s}; })[0];
    REQUIRE(scores.shape() == Shape{static_cast<int64_t>(rows.size()), vocabulary});
    for (size_t r = 0; r < rows.size(); ++r) {
      const Tape tape;
      const int64_t sentence = sentences[r / 2], length = std::ssize(rows[r]);
      const Var all = model(slice(images, 0, sentence, sentence + 1), tensor(rows[r], {1, length}));
      same(slice(scores, 0, static_cast<int64_t>(r), static_cast<int64_t>(r) + 1).value(),
           select(all, 1, length - 1).value());
    }
    parents.clear();
    for (size_t r = 0; r < rows.size(); ++r) {
      parents.push_back(static_cast<int32_t>(r));
      rows[r].push_back(static_cast<int32_t>((r * 3 + static_cast<size_t>(t) * 5) % vocabulary));
    }
  }
}

/// Pictures that are all red, green or blue, with a caption each: learned, and found again.
template <class Model>
void check_learning(Model model) {
  Tensor images({3, 3, 9, 7});
  for (int64_t i = 0; i < images.size(); ++i) {
    const int64_t picture = i / 189, channel = i / 63 % 3;
    images.data<float>()[static_cast<size_t>(i)] = picture == channel ? 1.f : -1.f;
  }
  const Tensor in = tensor(std::vector<int32_t>{2, 4, 5, 2, 6, 4, 2, 7, 8}, {3, 3});
  const Tensor out = tensor(std::vector<int32_t>{4, 5, 3, 6, 4, 3, 7, 8, 3}, {3, 3});
  Adam adam(parameters(model), {.lr = 1e-2, .clip_norm = 1});
  float loss = 0;
  for (int step = 0; step < 150; ++step) {
    const Tape tape(Training{Key{static_cast<uint64_t>(step)}});
    const Var l = cross_entropy(model(images, in), out);
    adam.step(l);
    loss = static_cast<float>(l.item());
  }
  CHECK(loss < 0.05f);
  const auto found = beam_search(model, images, {.beam = 3, .max_length = 6});
  REQUIRE(found.size() == 3);
  CHECK(found[0].at(0).tokens == std::vector<int32_t>{4, 5});
  CHECK(found[1].at(0).tokens == std::vector<int32_t>{6, 4});
  CHECK(found[2].at(0).tokens == std::vector<int32_t>{7, 8});
}

}  // namespace

TEST_CASE("group normalisation, worked by hand") {
  GroupNorm norm(2, 4);
  norm.weight.set(tensor(std::vector<float>{1, 2, 1, 1}, {4}));
  norm.bias.set(tensor(std::vector<float>{0, 0, 0, 5}, {4}));
  // The first group holds 1 2 3 4: mean 2.5, variance 1.25; the second -1 -1 1 1.
  const Tensor x = tensor(std::vector<float>{1, 2, 3, 4, -1, -1, 1, 1}, {1, 4, 1, 2});
  const Tape tape;
  const auto y = norm(x).value().to_vector<float>();
  const double s = std::sqrt(1.25);
  const double expected[] = {-1.5 / s, -0.5 / s, 2 * 0.5 / s, 2 * 1.5 / s, -1, -1, 6, 6};
  for (size_t i = 0; i < 8; ++i) CHECK(y[i] == Approx(expected[i]).epsilon(1e-4));
  CHECK_THROWS_WITH(GroupNorm(3, 4), Contains("3 groups") && Contains("4 channels"));
}

TEST_CASE("normalisation of each place, worked by hand") {
  LayerNorm2d norm(2);
  norm.weight.set(tensor(std::vector<float>{1, 2}, {2}));
  norm.bias.set(tensor(std::vector<float>{0, 5}, {2}));
  // Three places with channels (1, 3), (4, -4) and (9, 9).
  const Tensor x = tensor(std::vector<float>{1, 4, 9, 3, -4, 9}, {1, 2, 1, 3});
  const Tape tape;
  const auto y = norm(x).value().to_vector<float>();
  const double expected[] = {-1, 1, 0, 7, 3, 5};
  for (size_t i = 0; i < 6; ++i) CHECK(y[i] == Approx(expected[i]).epsilon(1e-4).margin(1e-6));
}

TEST_CASE("groups of 0 normalise each place of the encoder's planes") {
  ImageEncoderOptions options = small_image;
  options.groups = 0;
  ImageEncoder places(options, Key{1}), groups(small_image, Key{1});
  CHECK(std::holds_alternative<LayerNorm2d>(places.stages[0].down.norm));
  CHECK(parameters(places).size() == parameters(groups).size());
  const Tape tape;
  CHECK(places(pictures(2)).shape() == Shape{2, 6, 8});
}

TEST_CASE("an encoder's grid, and pictures of another size") {
  const ImageEncoder encoder(small_image, Key{1});
  CHECK(encoder.grid_height() == 3);
  CHECK(encoder.grid_width() == 2);
  const Tape tape;
  CHECK(encoder(pictures(2)).shape() == Shape{2, 6, 8});
  CHECK_THROWS_WITH(encoder(full({2, 3, 7, 9}, 0)),
                    Contains("[B, 3, 9, 7]") && Contains("[2, 3, 7, 9]"));
  CHECK_THROWS_WITH(ImageEncoder({.stages = {}}, Key{1}), Contains("0 stages"));
}

TEST_CASE("gradients of whole captioners") {
  check_gradient_of(small_gru());
  check_gradient_of(small_transformer());
}

TEST_CASE("several captions share their picture") {
  check_several(small_gru());
  check_several(small_transformer());
}

TEST_CASE("a step at a time is as all at once") {
  check_steps(small_gru());
  check_steps(small_transformer());
}

TEST_CASE("captioners learn what three pictures show") {
  check_learning(small_gru());
  check_learning(small_transformer());
}

TEST_CASE("what each word looks at adds up to one over the grid") {
  GruCaptioner gru = small_gru();
  TransformerCaptioner transformer = small_transformer();
  parameters(gru);
  parameters(transformer);
  const Tape tape;
  AttentionProbe probe;
  gru(pictures(2), tokens(2, 3));
  CHECK(probe.calls("attention") == 3);
  transformer(pictures(2), tokens(2, 3));
  const Tensor weights = probe.mean_weights("decoder/1/cross_attention");
  CHECK(weights.shape() == Shape{2, 3, 6});
  const auto w = weights.to_vector<float>();
  for (size_t row = 0; row < 6; ++row) {
    double sum = 0;
    for (size_t i = 0; i < 6; ++i) sum += w[6 * row + i];
    CHECK(sum == Approx(1));
  }
  CHECK(probe.weights("attention", 2).shape() == Shape{2, 6});
}

TEST_CASE("what words look at can be learned from, through the probe") {
  // A loss of the weights alone, which is no output of the model.
  const auto check = [](auto model, const std::string& layer) {
    const Tensor images = pictures(2).to(DType::float64), in = tokens(2, 2);
    const Tensor wanted = uniform(Key{8}, {2, 6}, 0, 1).to(DType::float64);
    check_model_gradient(
        parameters(model),
        [&] {
          const AttentionProbe probe;
          const auto encoded = model.encode(images);
          const Var logits = model.decode(encoded, in);
          const Var& looks = probe.recorded(layer);
          const Var last = looks.rank() == 2 ? looks : select(mean(looks, 1), 1, 1);  // [B, S]
          return sum(last * wanted) + 0.1 * cross_entropy(logits, in);
        },
        7);
  };
  check(small_gru(), "attention");
  check(small_transformer(), "decoder/1/cross_attention");
}

TEST_CASE("an encoder's head for words") {
  ImageEncoderOptions options = small_image;
  options.words = 5;
  ImageEncoder encoder(options, Key{1});
  const Tape tape;
  const Var memory = encoder(pictures(2));
  const Var seen = encoder.words_of(memory);
  REQUIRE(seen.shape() == Shape{2, 5});
  same(seen.value(), linear(mean(memory, {1}), encoder.words->weight, encoder.words->bias).value());
  const auto all = parameters(encoder);
  CHECK(std::any_of(all.begin(), all.end(),
                    [](const Parameter& p) { return p.name() == "words/weight"; }));
  CHECK_THROWS_WITH(ImageEncoder(small_image, Key{1}).words_of(memory), Contains("no head"));
}

TEST_CASE("a shut gate leaves the first state alone of the picture") {
  const auto differences = [](double bias) {
    GruCaptioner model = small_gru();
    model.gate->weight.set(zeros({1, 6}));
    model.gate->bias.set(full({1}, bias));
    model.bridge.weight.set(zeros({6, 8}));
    const Tape tape;
    const auto y = model(pictures(2), tensor(std::vector<int32_t>{2, 4, 2, 4}, {2, 2}))
                       .value()
                       .to_vector<float>();
    float most = 0;
    for (size_t i = 0; i < y.size() / 2; ++i) {
      most = std::max(most, std::abs(y[i] - y[y.size() / 2 + i]));
    }
    return most;
  };
  CHECK(differences(-100) == 0);
  CHECK(differences(100) > 1e-3f);
}

}  // namespace rapt
