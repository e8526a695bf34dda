// Models that write a token at a time, against the same models given all tokens at once.
#include <cmath>
#include <rapt/framework/error.hpp>
#include <rapt/framework/executor.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/models/step_model.hpp>
#include <rapt/ops/shape.hpp>

#include "catch.hpp"

namespace rapt {
namespace {

const Key key{31};

Transformer small_transformer(bool norm_first, uint64_t seed = 0) {
  return Transformer({.source_vocab = 11,
                      .target_vocab = 9,
                      .width = 12,
                      .heads = 3,
                      .encoder_layers = 2,
                      .decoder_layers = 2,
                      .feed_forward = 20,
                      .norm_first = norm_first,
                      .positions = norm_first ? PositionKind::learned : PositionKind::sinusoidal,
                      .max_length = 40},
                     Key{100 + seed});
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
  for (const bool norm_first : {false, true}) {
    const Transformer model = small_transformer(norm_first);
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

}  // namespace
}  // namespace rapt
