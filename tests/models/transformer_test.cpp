// The models made of attention: shapes, who sees whom, padding, training, and errors.
#include "models/transformer.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "framework/core/error.hpp"
#include "framework/files/checkpoint.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "models/layers/probe.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/loss.hpp"
#include "ops/shape/embedding.hpp"
#include "ops/shape/shape.hpp"
#include "optim/optimizer.hpp"
#include "tests/models/drawn.hpp"
#include "tests/models/model_gradient.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

const Key key{41};

Tensor ids(std::initializer_list<int32_t> values, const Shape& shape) {
  return tensor(std::vector<int32_t>(values), shape);
}

/// Tokens 1 .. vocab - 1.
Tensor tokens(uint64_t id, const Shape& shape, int64_t vocab) {
  Tensor result(shape, DType::int32);
  uint64_t i = 0;
  for (int32_t& token : result.data<int32_t>()) {
    token = static_cast<int32_t>(1 + key.fold(id).below(vocab - 1, i++));
  }
  return result;
}

const TransformerOptions small{.source_vocab = 11,
                               .target_vocab = 13,
                               .width = 16,
                               .heads = 4,
                               .encoder_layers = 2,
                               .decoder_layers = 2,
                               .feed_forward = 24,
                               .max_length = 12};
const GptOptions small_gpt{.vocab = 9, .width = 12, .heads = 3, .layers = 2, .max_length = 8};

}  // namespace

TEST_CASE("a Transformer's shapes, parameters and names") {
  Transformer model(small, key);
  const std::vector<Parameter> all = parameters(model);
  const int64_t C = 16, F = 24, attention = 4 * C * C + 4 * C, ff = 2 * C * F + F + C;
  const int64_t encoder = attention + ff + 4 * C, decoder = 2 * attention + ff + 6 * C;
  CHECK(count(all) == (11 + 13) * C + 2 * encoder + 2 * decoder + 4 * C + 13 * C + 13);
  std::vector<std::string> names;
  for (const Parameter& p : all) names.push_back(p.name());
  for (const char* name :
       {"encoder/1/self_attention/in_proj/weight", "decoder/0/cross_attention/out_proj/bias",
        "decoder/1/feed_forward/down/weight", "decoder_norm/weight"}) {
    CHECK(std::count(names.begin(), names.end(), name) == 1);
  }
  Tape tape;
  const Var logits = model(tokens(1, {3, 5}, 11), tokens(2, {3, 7}, 13));
  CHECK(logits.shape() == Shape{3, 7, 13});
  CHECK_THROWS_WITH(
      model(tokens(1, {1, 13}, 11), tokens(2, {1, 2}, 13)),
      Contains("13 places") && Contains("room for 12") && Contains("transformer_test.cpp"));
}

TEST_CASE("tied tables are one parameter, with one gradient and one update") {
  TransformerOptions options = small;
  options.source_vocab = options.target_vocab = 13;
  options.dropout = 0;
  Transformer apart(options, key);
  const Tying tying = GENERATE(Tying::output, Tying::all);
  options.tying = tying;
  Transformer tied(options, key);
  const std::vector<Parameter> own = parameters(tied), all = parameters(apart);
  CHECK(own.size() == all.size() - (tying == Tying::all ? 2 : 1));
  CHECK(tied.output.weight.name() ==
        (tying == Tying::all ? "source_embedding/weight" : "target_embedding/weight"));

  // The same values in a model of separate tables: the gradient is the sum of theirs.
  const Parameter& table = tied.output.weight;
  NamedTensors saved = named(own);
  for (const char* name : {"source_embedding/weight", "target_embedding/weight", "output/weight"}) {
    const auto has = [&](const auto& entry) { return entry.first == name; };
    if (std::none_of(saved.begin(), saved.end(), has)) saved.emplace_back(name, table.value());
  }
  set_parameters(all, saved);
  const Tensor source = tokens(1, {3, 5}, 13), in = tokens(2, {3, 7}, 13);
  const Tensor out = tokens(3, {3, 7}, 13);
  Tape tape;
  const Var loss = cross_entropy(tied(source, in), out);
  const Var other = cross_entropy(apart(source, in), out);
  CHECK(loss.item() == other.item());
  const std::vector<double> sum = values(grad(loss, std::vector{table})[0]);
  std::vector<Parameter> parts{apart.target_embedding.weight, apart.output.weight};
  if (tying == Tying::all) parts.push_back(apart.source_embedding.weight);
  std::vector<double> expected(sum.size());
  for (const Var& part : grad(other, parts)) {
    const std::vector<double> x = values(part);
    for (size_t i = 0; i < x.size(); ++i) expected[i] += x[i];
  }
  CHECK(largest_difference(sum, expected) < 1e-6);

  // Adam's first step is lr times the sign of the gradient: 1e-3, not twice that.
  const std::vector<double> before = table.value().to_vector<double>();
  Adam(own, {.lr = 1e-3}).step(loss);
  const std::vector<double> after = table.value().to_vector<double>();
  CHECK(largest_difference(before, after) == Approx(1e-3).epsilon(1e-2));
  CHECK(tied.target_embedding.weight.value().to_vector<double>() == after);
}

TEST_CASE("a tied model is saved and loaded as it is") {
  const TemporaryFolder folder;
  TransformerOptions options = small;
  options.source_vocab = 13;
  options.tying = Tying::all;
  GptOptions gpt_options = small_gpt;
  gpt_options.tied = true;
  Transformer first(options, key), second(options, key.fold(1));
  Gpt gpt(gpt_options, key), other(gpt_options, key.fold(1));
  CHECK(parameters(gpt).size() == [] {
    Gpt untied(small_gpt, key);
    return parameters(untied).size() - 1;
  }());
  const Tensor source = tokens(1, {2, 5}, 13), in = tokens(2, {2, 4}, 9);
  const auto logits = [&](const Transformer& model, const Gpt& decoder) {
    Tape tape;
    return std::pair(values(model(source, in)), values(decoder(in)));
  };
  CHECK(logits(first, gpt) != logits(second, other));
  save_parameters(folder.file("transformer"), parameters(first));
  save_parameters(folder.file("gpt"), parameters(gpt));
  load_parameters(folder.file("transformer"), parameters(second));
  load_parameters(folder.file("gpt"), parameters(other));
  CHECK(logits(first, gpt) == logits(second, other));
  CHECK(second.output.weight.state() == second.source_embedding.weight.state());

  options.source_vocab = 12;
  CHECK_THROWS_WITH(Transformer(options, key), Contains("one vocabulary") && Contains("12 and 13"));
}

TEST_CASE("every parameter gets a gradient") {
  const PositionKind kind = GENERATE(
      PositionKind::none, PositionKind::sinusoidal, PositionKind::learned, PositionKind::rotary,
      PositionKind::alibi, PositionKind::learned_alibi, PositionKind::t5);
  TransformerOptions options = small;
  options.positions = kind;
  GptOptions gpt_options = small_gpt;
  gpt_options.positions = kind;
  if (kind == PositionKind::rotary) {  // as Llama has them
    options.key_heads = 2;
    gpt_options.key_heads = 1;
    options.norm = gpt_options.norm = NormKind::rms;
    options.gated = gpt_options.gated = true;
    options.activation = gpt_options.activation = Activation::silu;
  }
  Transformer model(options, key);
  Gpt gpt(gpt_options, key);
  const std::vector<Parameter> own = parameters(model), others = parameters(gpt);
  Tape tape;
  const auto all_flow = [](const Var& loss, const std::vector<Parameter>& wrt) {
    const std::vector<Var> grads = grad(loss, wrt);
    for (size_t i = 0; i < wrt.size(); ++i) {
      INFO(wrt[i].name());
      double largest = 0;
      for (const double g : values(grads[i])) largest = std::max(largest, std::abs(g));
      CHECK(largest > 0);
      CHECK(std::isfinite(largest));
    }
  };
  const Tensor labels = tokens(3, {3, 7}, 9);
  all_flow(cross_entropy(model(tokens(1, {3, 12}, 11), tokens(2, {3, 7}, 13)), labels), own);
  all_flow(cross_entropy(gpt(tokens(2, {3, 7}, 9)), labels), others);
}

TEST_CASE("a later token does not change earlier logits") {
  const Transformer model(small, key);
  const Gpt gpt(small_gpt, key);
  const Tensor source = tokens(1, {1, 5}, 11);
  const Tensor before = ids({1, 2, 3, 4, 5, 6}, {1, 6}), after = ids({1, 2, 3, 8, 5, 7}, {1, 6});
  Tape tape;
  for (const bool decoder_only : {false, true}) {
    const auto a = values(decoder_only ? gpt(before) : model(source, before));
    const auto b = values(decoder_only ? gpt(after) : model(source, after));
    const size_t width = a.size() / 6;
    for (size_t t = 0; t < 6; ++t) {
      const auto at = [&](const std::vector<double>& v) {
        return std::vector<double>(v.begin() + static_cast<std::ptrdiff_t>(t * width),
                                   v.begin() + static_cast<std::ptrdiff_t>((t + 1) * width));
      };
      INFO(decoder_only << " " << t);
      CHECK((largest_difference(at(a), at(b)) == 0) == (t < 3));
    }
  }
  // The encoder looks at all of the source.
  const auto a = values(model(ids({1, 2, 3}, {1, 3}), before));
  const auto b = values(model(ids({1, 2, 4}, {1, 3}), before));
  CHECK(largest_difference(a, b) > 0);
}

TEST_CASE("every kind of positions tells places apart, and sees distances") {
  const auto order_matters = [](PositionKind kind) {
    TransformerOptions options = small;
    options.positions = kind;
    options.encoder_layers = 1;
    options.dropout = 0;
    Transformer model(options, key);
    if (kind == PositionKind::t5) {
      model.encoder[0].self_attention.positions.table.set(drawn(5, {32, 4}));
    }
    Tape tape;
    const Var there = model.encode(ids({1, 2, 3, 4, 5, 6, 7, 8}, {1, 8})).memory;
    const Var back = model.encode(ids({8, 7, 6, 5, 4, 3, 2, 1}, {1, 8})).memory;
    return largest_difference(values(there), values(flip(back, {1}))) > 1e-3;
  };
  CHECK_FALSE(order_matters(PositionKind::none));
  for (const PositionKind kind :
       {PositionKind::sinusoidal, PositionKind::learned, PositionKind::rotary, PositionKind::t5}) {
    CHECK(order_matters(kind));
  }
  CHECK_FALSE(order_matters(PositionKind::alibi));  // as far behind as before

  // Relative kinds: behind a token that nobody can see, a text gives what it gives alone.
  for (const PositionKind kind :
       {PositionKind::rotary, PositionKind::alibi, PositionKind::learned_alibi, PositionKind::t5}) {
    MultiHeadAttention layer(
        12, 3, key,
        {.positions = RelativePositions(
             {.kind = kind, .heads = 3, .depth = 4, .length = 16, .bidirectional = false})});
    if (kind == PositionKind::t5) layer.positions.table.set(drawn(6, {32, 3}));
    if (kind == PositionKind::learned_alibi) layer.positions.slopes.set(drawn(7, {3}));
    const Tensor x = drawn(8, {1, 9, 12});
    Tensor seen({1, 9}, DType::boolean);
    for (size_t t = 0; t < 9; ++t) seen.data<bool>()[t] = t >= 4;
    Tape tape;
    const Var all = layer(x, causal() & keep(seen)), rest = layer(slice(x, 1, 4), causal());
    CHECK(largest_difference(values(slice(all, 1, 4)), values(rest)) < 1e-5);
  }
}

TEST_CASE("a Transformer's gradients are right in double, with all that is newer than it") {
  const PositionKind kind =
      GENERATE(PositionKind::rotary, PositionKind::learned_alibi, PositionKind::t5);
  Transformer model({.source_vocab = 7,
                     .target_vocab = 7,
                     .width = 8,
                     .heads = 4,
                     .key_heads = 2,
                     .encoder_layers = 1,
                     .decoder_layers = 1,
                     .feed_forward = 6,
                     .activation = Activation::silu,
                     .gated = true,
                     .norm = NormKind::rms,
                     .norm_first = true,
                     .positions = kind,
                     .tying = Tying::all,
                     .max_length = 8},
                    key);
  const Tensor source = ids({5, 3, 1, 2, 4, 0}, {2, 3}), in = ids({2, 4, 6, 1}, {2, 2});
  const Tensor out = ids({4, 3, 1, 3}, {2, 2});
  check_model_gradient(
      parameters(model),
      [&] { return cross_entropy(model(source, in), out, {.label_smoothing = 0.1}); }, 5);
}

TEST_CASE("decoding a step at a time gives what the whole text gives, with all positions") {
  const PositionKind kind = GENERATE(PositionKind::none, PositionKind::learned,
                                     PositionKind::rotary, PositionKind::alibi, PositionKind::t5);
  MultiHeadAttention layer(
      12, 6, key,
      {.key_heads = 2,
       .positions = RelativePositions(
           {.kind = kind, .heads = 6, .depth = 2, .length = 8, .bidirectional = false})});
  if (kind == PositionKind::t5) layer.positions.table.set(drawn(6, {32, 6}));
  const Tensor x = drawn(1, {3, 5, 12});
  Tape tape;
  const Var all = layer(x, causal());
  const KeyValueCache cache{zeros({7, 3, 2, 2}), zeros({7, 3, 2, 2})};
  const Tensor own = ids({0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2}, {3, 7});
  for (int32_t t = 0; t < 5; ++t) {
    const Tape step;
    const Var y = layer.step(select(x, 1, t), cache, {as_var(own), as_var(ids({t}, {1}))});
    CHECK(largest_difference(values(y), values(select(all, 1, t))) < 1e-5);
  }
}

TEST_CASE("a probe shows weights and changes nothing") {
  TransformerOptions options = small;
  options.dropout = 0.1;
  options.positions = PositionKind::alibi;
  Transformer model(options, key);
  const std::vector<Parameter> all = parameters(model);
  const Tensor source = ids({1, 2, 3, 4, 5, 0}, {2, 3}), in = ids({1, 5, 1, 2}, {2, 2});
  const Tensor out = ids({5, 2, 2, 3}, {2, 2});
  std::vector<std::vector<double>> results;
  for (const bool probed : {false, true}) {
    std::optional<AttentionProbe> probe;
    if (probed) probe.emplace();
    Tape tape(Training{key});
    const Var loss = cross_entropy(model(source, in), out);
    if (probed) {
      CHECK(probe->layers() ==
            std::vector<std::string>{"encoder/0/self_attention", "encoder/1/self_attention",
                                     "decoder/0/self_attention", "decoder/0/cross_attention",
                                     "decoder/1/self_attention", "decoder/1/cross_attention"});
      const Tensor w = probe->weights("decoder/0/cross_attention");
      CHECK(w.shape() == Shape{2, 4, 2, 3});
      const std::vector<double> rows = w.to_vector<double>();
      for (size_t i = 0; i < rows.size(); i += 3) {
        CHECK(rows[i] + rows[i + 1] + rows[i + 2] == Approx(1));
        if (i >= rows.size() / 2) CHECK(rows[i + 2] == 0);  // padding
      }
      const Tensor mean = probe->mean_weights("decoder/0/cross_attention");
      CHECK(mean.shape() == Shape{2, 2, 3});
      CHECK(mean.to_vector<double>()[0] == Approx((rows[0] + rows[6] + rows[12] + rows[18]) / 4));
      const Tensor entropy = probe->entropy("decoder/1/self_attention");
      CHECK(entropy.shape() == Shape{2, 4, 2});
      CHECK(entropy.to_vector<double>()[0] == 0);  // the first place sees itself alone
      const std::vector<double> own =
          probe->weights("decoder/1/self_attention").to_vector<double>();
      CHECK(entropy.to_vector<double>()[1] ==
            Approx(-own[2] * std::log(own[2]) - own[3] * std::log(own[3])));
      CHECK(probe->calls("encoder/0/self_attention") == 1);
      CHECK_THROWS_WITH(probe->weights("encoder/2/self_attention"),
                        Contains("encoder/2/self_attention") && Contains("decoder/1/"));
    }
    std::vector<double> result{loss.item()};
    for (const Var& g : grad(loss, all)) {
      for (const double x : values(g)) result.push_back(x);
    }
    results.push_back(result);
  }
  CHECK(results[0] == results[1]);

  // It sees what is recorded while it lives, whatever the tape.
  AttentionProbe probe;
  for (int tape = 0; tape < 2; ++tape) {
    const Tape own;
    model(source, in);
    CHECK_NOTHROW(probe.weights("encoder/0/self_attention", static_cast<size_t>(tape)));
  }
  CHECK_THROWS_WITH(probe.weights("encoder/0/self_attention", 0), Contains("after its Tape ended"));
}

TEST_CASE("a sentence gives the same in a padded batch as alone") {
  const Transformer model(small, key);
  Tape tape;
  const Var batch = model(ids({1, 2, 3, 0, 0, 0, 4, 5, 6, 7, 8, 9}, {2, 6}),
                          ids({1, 5, 0, 0, 1, 2, 3, 4}, {2, 4}));
  const Var alone = model(ids({1, 2, 3}, {1, 3}), ids({1, 5}, {1, 2}));
  const Var of_batch = slice(slice(batch, 0, 0, 1), 1, 0, 2);
  // Sums of other lengths may be added up in another order.
  CHECK(largest_difference(values(of_batch), values(alone)) < 1e-5);
  // A source of nothing but padding gives finite logits.
  for (const double x : values(model(ids({0, 0}, {1, 2}), ids({1}, {1, 1})))) {
    CHECK(std::isfinite(x));
  }
}

TEST_CASE("a Transformer learns to reverse, a Gpt to count") {
  const Tensor source = tokens(1, {8, 5}, 11);
  Tensor target_in({8, 6}, DType::int32), target_out({8, 6}, DType::int32);
  for (size_t b = 0; b < 8; ++b) {
    for (size_t t = 0; t < 6; ++t) {
      const auto token = [&](size_t i) { return source.data<int32_t>()[b * 5 + 4 - i]; };
      target_in.data<int32_t>()[b * 6 + t] = t == 0 ? 11 : token(t - 1);
      target_out.data<int32_t>()[b * 6 + t] = t == 5 ? 12 : token(t);
    }
  }
  TransformerOptions options = small;
  options.dropout = 0;
  options.norm_first = GENERATE(false, true);
  Transformer model(options, key);
  Adam adam(parameters(model), {.lr = 5e-3, .clip_norm = 1});
  double first = 0, last = 0;
  for (int step = 0; step < 120; ++step) {
    Tape tape;
    const Var loss = cross_entropy(model(source, target_in), target_out);
    adam.step(loss);
    last = loss.item();
    if (step == 0) first = last;
  }
  CHECK(first > 2);
  CHECK(last < 0.05);

  Gpt gpt(small_gpt, key);
  Adam other(parameters(gpt), {.lr = 1e-2});
  const Tensor in = ids({1, 2, 3, 4, 5, 3, 4, 5, 6, 7}, {2, 5});
  const Tensor out = ids({2, 3, 4, 5, 6, 4, 5, 6, 7, 8}, {2, 5});
  for (int step = 0; step < 100; ++step) {
    Tape tape;
    const Var loss = cross_entropy(gpt(in), out);
    other.step(loss);
    last = loss.item();
    // Small weights at the start: all tokens are about as likely.
    if (step == 0) CHECK(last == Approx(std::log(9.0)).margin(0.05));
  }
  CHECK(last < 0.05);
}

TEST_CASE("training steps with dropout give the same bits on any number of threads") {
  std::vector<std::vector<Tensor>> results;
  for (const int threads : {1, 2, 3, 8}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    TransformerOptions options = small;
    options.width = 64;
    options.feed_forward = 128;
    options.dropout = 0.2;
    Transformer model(options, key);
    const std::vector<Parameter> learned = parameters(model);
    Adam adam(learned, {.lr = 1e-3, .clip_norm = 1});
    for (uint64_t step = 0; step < 3; ++step) {
      Tape tape(Training{key.fold(step)});
      const Var logits = model(tokens(step, {16, 12}, 11), tokens(step + 9, {16, 10}, 13));
      adam.step(cross_entropy(logits, tokens(step + 19, {16, 10}, 13), {.label_smoothing = 0.1}));
    }
    std::vector<Tensor> after;
    for (const Parameter& p : learned) after.push_back(p.value().clone());
    results.push_back(after);
  }
  for (size_t r = 1; r < results.size(); ++r) {
    for (size_t i = 0; i < results[0].size(); ++i) {
      const auto bytes = static_cast<size_t>(results[0][i].size()) * sizeof(float);
      CHECK(std::memcmp(results[0][i].bytes(), results[r][i].bytes(), bytes) == 0);
    }
  }
}

TEST_CASE("dropout is at work in training alone") {
  TransformerOptions options = small;
  options.dropout = 0.5;
  const Transformer model(options, key);
  const auto run = [&](const Tape&) {
    return values(model(tokens(1, {2, 5}, 11), tokens(2, {2, 4}, 13)));
  };
  const auto plain = run(Tape()), again = run(Tape());
  const auto training = run(Tape(Training{key}));
  CHECK(largest_difference(plain, again) == 0);
  CHECK(largest_difference(plain, training) > 0.01);
}

}  // namespace rapt
