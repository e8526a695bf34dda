// Models that write a token at a time, against the same models given all tokens at once.
#include "models/decoding/step_model.hpp"

#include <cmath>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "models/decoding/ensemble.hpp"
#include "models/gru_steps.hpp"
#include "models/transformer_steps.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

const Key key{31};

Transformer small_transformer(PositionKind positions, bool norm_first, uint64_t seed = 0) {
  Transformer model({.source_vocab = 11,
                     .target_vocab = 9,
                     .width = 12,
                     .heads = 3,
                     .encoder_layers = 2,
                     .decoder_layers = 2,
                     .feed_forward = 20,
                     .norm_first = norm_first,
                     .positions = positions,
                     .max_length = 40},
                    Key{100 + seed});
  for (DecoderLayer& layer : model.decoder) {
    Parameter& table = layer.self_attention.positions.table;
    if (table) table.set(normal(Key{7}, {RelativePositions::buckets, 3}, 0, 1));
  }
  return model;
}

/// Sentences of 1 .. S tokens, filled up with 0.
Tensor sources(int64_t B, int64_t S, int64_t vocabulary) {
  Tensor source({B, S}, DType::int32);
  int32_t* to = source.data<int32_t>().data();
  for (int64_t b = 0; b < B; ++b) {
    for (int64_t s = 0; s < S; ++s) {
      const auto i = static_cast<uint64_t>(b * S + s);
      const bool there = s <= b % S;
      *to++ = there ? static_cast<int32_t>(4 + key.below(vocabulary - 4, i)) : 0;
    }
  }
  return source;
}

struct Drawn {
  std::vector<std::vector<int32_t>> rows;  // all tokens of each row so far
  std::vector<int32_t> sentence;           // of each row
};

/// Takes steps with tokens, numbers of rows, orders and leaving sentences drawn by chance; `full`
/// gives the scores [R, V] of rows by computing all again.
template <class Full>
void check_steps(StepModel& model, int64_t steps, int64_t widest, int64_t vocabulary, Key k,
                 const Full& full) {
  Stepper stepper(model);
  Drawn before;
  std::vector<int32_t> sentences;
  for (int32_t s = 0; s < model.sentences(); ++s) sentences.push_back(s);
  uint64_t drawn = 0;
  const auto draw = [&](int64_t n) { return k.below(n, drawn++); };
  for (int64_t t = 0; t < steps; ++t) {
    if (sentences.size() > 1 && t % 5 == 4) {
      sentences.erase(sentences.begin() + draw(static_cast<int64_t>(sentences.size())));
    }
    const int64_t width = t == 0 ? 1 : 1 + draw(widest);
    StepInput input;
    input.sentences = sentences;
    Drawn now;
    for (const int32_t s : sentences) {
      std::vector<int32_t> own;
      for (size_t r = 0; r < before.rows.size(); ++r) {
        if (before.sentence[r] == s) own.push_back(static_cast<int32_t>(r));
      }
      for (int64_t j = 0; j < width; ++j) {
        std::vector<int32_t> row;
        if (t > 0) {
          const int32_t parent = own[static_cast<size_t>(draw(static_cast<int64_t>(own.size())))];
          input.parents.push_back(parent);
          row = before.rows[static_cast<size_t>(parent)];
        }
        row.push_back(static_cast<int32_t>(1 + draw(vocabulary - 1)));
        input.tokens.push_back(row.back());
        now.rows.push_back(row);
        now.sentence.push_back(s);
      }
    }
    const std::vector<Tensor> values =
        stepper.step(input, [](const Var& scores) { return std::vector<Var>{scores}; });
    const std::vector<float> got = values[0].to_vector<float>();
    const std::vector<float> want = full(now).template to_vector<float>();
    REQUIRE(got.size() == want.size());
    float worst = 0;
    for (size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::abs(got[i] - want[i]));
    CHECK(worst < 1e-5f);
    before = now;
  }
}

/// The rows' tokens, int32 [R, T].
Tensor tokens_of(const Drawn& drawn) {
  std::vector<int32_t> all;
  for (const auto& row : drawn.rows) all.insert(all.end(), row.begin(), row.end());
  const auto R = static_cast<int64_t>(drawn.rows.size());
  return tensor(all, {R, static_cast<int64_t>(all.size()) / R});
}

Tensor source_rows(const Tensor& source, const Drawn& drawn) {
  const int64_t S = source.shape()[1];
  std::vector<int32_t> all;
  for (const int32_t s : drawn.sentence) {
    const int32_t* from = source.data<int32_t>().data() + s * S;
    all.insert(all.end(), from, from + S);
  }
  return tensor(all, {static_cast<int64_t>(drawn.sentence.size()), S});
}

/// [R, T, V] -> the last place's [R, V].
Tensor last_place(const Var& logits) {
  return select(logits, 1, logits.size(1) - 1).value().clone();
}

TEST_CASE("a Transformer's steps give what decoding all tokens gives") {
  for (const PositionKind positions :
       {PositionKind::none, PositionKind::sinusoidal, PositionKind::learned, PositionKind::rotary,
        PositionKind::alibi, PositionKind::learned_alibi, PositionKind::t5}) {
    const Transformer model = small_transformer(positions, positions != PositionKind::sinusoidal);
    for (const int64_t B : {1, 2, 5}) {
      for (const int64_t widest : {1, 3, 5}) {
        INFO(B << " sentences, up to " << widest << " rows");
        const Tensor source = sources(B, 6, 11);
        const auto steps = start(model, source);
        REQUIRE(steps->sentences() == B);
        REQUIRE(steps->source_length(0) == 1);
        REQUIRE(steps->most_steps() == 40);
        // Past the doubling of the cache at 16.
        check_steps(*steps, 19, widest, 9, key.fold(static_cast<uint64_t>(B * 10 + widest)),
                    [&](const Drawn& drawn) {
                      const Tape tape;
                      return last_place(model(source_rows(source, drawn), tokens_of(drawn)));
                    });
      }
    }
  }
}

TEST_CASE("a Gpt's steps give what all tokens at once give") {
  const Gpt model({.vocab = 9, .width = 12, .heads = 2, .layers = 2, .max_length = 40}, key);
  for (const int64_t widest : {1, 4}) {
    const auto steps = start(model, 3);
    check_steps(*steps, 34, widest, 9, key.fold(static_cast<uint64_t>(widest)),
                [&](const Drawn& drawn) {
                  const Tape tape;
                  return last_place(model(tokens_of(drawn)));
                });
  }
}

GruSeq2Seq small_gru(AttentionKind kind) {
  return GruSeq2Seq(
      {.source_vocab = 11, .target_vocab = 9, .embed = 6, .hidden = 10, .attention = kind}, key);
}

TEST_CASE("a GruSeq2Seq's steps give what teacher forcing gives") {
  for (const AttentionKind kind :
       {AttentionKind::additive, AttentionKind::dot, AttentionKind::none}) {
    const GruSeq2Seq model = small_gru(kind);
    const Tensor source = sources(4, 6, 11);
    const auto steps = start(model, source);
    REQUIRE(steps->source_length(2) == 3);
    check_steps(*steps, 12, 4, 9, key.fold(static_cast<uint64_t>(kind)), [&](const Drawn& drawn) {
      const Tape tape;
      return last_place(model(source_rows(source, drawn), tokens_of(drawn)));
    });
  }
}

std::vector<std::unique_ptr<StepModel>> members(std::unique_ptr<StepModel> a,
                                                std::unique_ptr<StepModel> b) {
  std::vector<std::unique_ptr<StepModel>> all;
  all.push_back(std::move(a));
  all.push_back(std::move(b));
  return all;
}

TEST_CASE("an ensemble averages what its members say") {
  const Transformer one = small_transformer(PositionKind::sinusoidal, false, 1);
  const GruSeq2Seq other = small_gru(AttentionKind::additive);
  const Tensor source = sources(3, 6, 11);
  const auto of = [&](const auto& model, const Drawn& drawn) {
    return log_softmax(as_var(last_place(model(source_rows(source, drawn), tokens_of(drawn)))));
  };
  // A recurrent member on either side: each gets its own states back.
  for (const bool swapped : {false, true}) {
    auto a = start(one, source), b = start(other, source);
    auto both = swapped ? ensemble(members(std::move(b), std::move(a)))
                        : ensemble(members(std::move(a), std::move(b)));
    CHECK(both->sentences() == 3);
    CHECK(both->source_length(1) == 2);
    CHECK(both->most_steps() == 40);
    check_steps(*both, 8, 3, 9, key.fold(50), [&](const Drawn& drawn) {
      const Tape tape;
      return log((exp(of(one, drawn)) + exp(of(other, drawn))) / 2).value().clone();
    });
  }
  auto both =
      ensemble(members(start(one, source), start(other, source)), Average::log_probabilities);
  check_steps(*both, 8, 3, 9, key.fold(51), [&](const Drawn& drawn) {
    const Tape tape;
    return ((of(one, drawn) + of(other, drawn)) / 2).value().clone();
  });
  for (const Average average : {Average::probabilities, Average::log_probabilities}) {
    auto twice = ensemble(members(start(one, source), start(one, source)), average);
    check_steps(*twice, 8, 3, 9, key.fold(52), [&](const Drawn& drawn) {
      const Tape tape;
      return of(one, drawn).value().clone();
    });
  }
  auto weighted = ensemble(members(start(one, source), start(other, source)),
                           Average::log_probabilities, {0.25, 0.75});
  check_steps(*weighted, 5, 3, 9, key.fold(53), [&](const Drawn& drawn) {
    const Tape tape;
    return (of(one, drawn) * 0.25 + of(other, drawn) * 0.75).value().clone();
  });
  auto mixed = ensemble(members(start(one, source), start(other, source)), Average::probabilities,
                        {0.25, 0.75});
  check_steps(*mixed, 5, 3, 9, key.fold(54), [&](const Drawn& drawn) {
    const Tape tape;
    return log(exp(of(one, drawn)) * 0.25 + exp(of(other, drawn)) * 0.75).value().clone();
  });
}

TEST_CASE("what cannot be started, or go together") {
  const Transformer model = small_transformer(PositionKind::sinusoidal, false);
  using Catch::Matchers::Contains;
  CHECK_THROWS_WITH(start(model, zeros({2, 3})), Contains("expected a source int32 [B, S]"));
  CHECK_THROWS_WITH(start(model, Tensor()), Contains("an empty tensor"));
  const Gpt gpt({.vocab = 5, .width = 4, .heads = 1, .layers = 1, .max_length = 8}, key);
  CHECK_THROWS_WITH(start(gpt, -1), Contains("texts is -1"));
  CHECK_THROWS_WITH(ensemble({}), Contains("no members"));
  CHECK_THROWS_WITH(ensemble(members(start(gpt, 1), start(gpt, 2))),
                    Contains("member 1 has 2 sentences, member 0 has 1"));
  for (const std::vector<double>& weights : {std::vector<double>{1}, {0.5, 0.6}, {0, 1}}) {
    CHECK_THROWS_WITH(
        ensemble(members(start(gpt, 1), start(gpt, 1)), Average::probabilities, weights),
        Contains("2 positive weights that add up to 1"));
  }
  auto different = ensemble(members(start(gpt, 1), start(model, sources(1, 3, 11))));
  Stepper stepper(*different);
  CHECK_THROWS_WITH(stepper.step({.tokens = {1}, .parents = {}, .sentences = {0}, .states = {}},
                                 [](const Var& scores) { return std::vector<Var>{scores}; }),
                    Contains("member 1 gives scores [1, 9], member 0 gives [1, 5]"));
}

TEST_CASE("rows that continue none of the step before") {
  const Gpt gpt({.vocab = 5, .width = 4, .heads = 1, .layers = 1, .max_length = 8}, key);
  for (const std::vector<int32_t>& parents : {std::vector<int32_t>{5}, {-1}, {}}) {
    const auto steps = start(gpt, 1);
    Stepper stepper(*steps);
    const auto step = [&](const std::vector<int32_t>& from) {
      stepper.step({.tokens = {1}, .parents = from, .sentences = {0}, .states = {}},
                   [](const Var& scores) { return std::vector<Var>{scores}; });
    };
    step({});
    CHECK_THROWS_WITH(step(parents), Catch::Matchers::Contains("step: row 0 continues row"));
  }
}

TEST_CASE("a step has the plan of the steps before") {
  const Transformer model = small_transformer(PositionKind::sinusoidal, false);
  const auto steps = start(model, sources(2, 6, 11));
  Stepper stepper(*steps);
  const auto step = [&](std::vector<int32_t> parents) {
    stepper.step({.tokens = {4, 5, 6, 7}, .parents = parents, .sentences = {0, 1}, .states = {}},
                 [](const Var& scores) { return std::vector<Var>{scores}; });
  };
  step({});
  const int64_t made = Executor::current().counters().plans_made;
  for (int t = 1; t < 16; ++t) step({1, 0, 2, 2});
  CHECK(Executor::current().counters().plans_made == made);
}

}  // namespace
}  // namespace rapt
