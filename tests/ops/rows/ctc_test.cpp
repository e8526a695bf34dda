// CTC where its table row does not look: what cannot be, what is long, and messages.
#include "ops/rows/ctc.hpp"

#include <cmath>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/softmax.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Result {
  std::vector<double> losses, gradient;
};

Result run(const Tensor& logits, const Tensor& targets, const std::vector<int32_t>& times,
           const std::vector<int32_t>& labels, CtcOptions options = {}) {
  const auto batch = static_cast<int64_t>(times.size());
  options.reduction = Reduction::none;
  const Tape tape;
  const Var x = as_var(logits);
  const Var losses = ctc_loss(x, targets, tensor(times, {batch}),
                              tensor(labels, {static_cast<int64_t>(labels.size())}), options);
  const Var gradient = grad(sum(losses), {x})[0];
  Executor::current().run({losses, gradient});
  return {losses.value().to_vector<double>(), gradient.value().to_vector<double>()};
}

}  // namespace

TEST_CASE("ctc_loss: alignments that cannot be cost infinity and move nothing") {
  const Tensor logits = normal(Key{1}, {6, 4, 3});
  // A repeat needs a blank between: [1, 1] fits three times, not two. No time fits no label alone.
  const Tensor targets = tensor<int32_t>({1, 1, 1, 1, 1, 2, 1, 2, 0, 0, 1, 2}, {6, 2});
  const Result r = run(logits, targets, {2, 3, 1, 0, 0, 4}, {2, 2, 2, 1, 0, 0});
  CHECK(r.losses[0] == infinity);
  CHECK(std::isfinite(r.losses[1]));
  CHECK(r.losses[2] == infinity);
  CHECK(r.losses[3] == infinity);
  CHECK(r.losses[4] == 0);
  CHECK(std::isfinite(r.losses[5]));
  for (const size_t b : {0u, 2u, 3u, 4u}) {
    for (size_t i = 0; i < 12; ++i) CHECK(r.gradient[b * 12 + i] == 0);
  }
  double moved = 0;
  for (size_t i = 0; i < 9; ++i) moved += std::abs(r.gradient[12 + i]);
  CHECK(moved > 0.1);
  for (size_t i = 9; i < 12; ++i) CHECK(r.gradient[12 + i] == 0);  // behind the utterance's end

  const Result zeros =
      run(logits, targets, {2, 3, 1, 0, 0, 4}, {2, 2, 2, 1, 0, 0}, {.zero_infinity = true});
  CHECK(zeros.losses[0] == 0);
  CHECK(zeros.losses[1] == r.losses[1]);
}

TEST_CASE("ctc_loss: no labels cost what the blanks cost") {
  const Tensor logits = normal(Key{2}, {1, 5, 4}, 0, 3, DType::float64);
  const Result r = run(logits, tensor(std::vector<int32_t>(), {1, 0}), {4}, {0}, {.blank = 2});
  const Tape tape;
  const std::vector<double> log_p = log_softmax(logits).value().to_vector<double>();
  double want = 0;
  for (size_t t = 0; t < 4; ++t) want -= log_p[t * 4 + 2];
  CHECK(r.losses[0] == Approx(want).epsilon(1e-12));
}

TEST_CASE("ctc_loss: long utterances, in float as in double") {
  const int64_t B = 3, T = 700, V = 37, U = 90;
  const Tensor logits = normal(Key{3}, {B, T, V}, 0, 4);
  Tensor targets({B, U}, DType::int32);
  for (int64_t i = 0; i < B * U; ++i) {
    targets.data<int32_t>()[static_cast<size_t>(i)] =
        static_cast<int32_t>(1 + Key{4}.below(V - 1, static_cast<uint64_t>(i)));
  }
  const Result in_float = run(logits, targets, {700, 650, 400}, {90, 3, 77});
  const Result in_double = run(logits.to(DType::float64), targets, {700, 650, 400}, {90, 3, 77});
  for (size_t b = 0; b < 3; ++b) {
    CHECK(in_float.losses[b] == Approx(in_double.losses[b]).epsilon(1e-5));
  }
  for (size_t i = 0; i < in_float.gradient.size(); ++i) {
    // Log-probabilities of some thousands have four digits behind the point in float.
    REQUIRE(std::abs(in_float.gradient[i] - in_double.gradient[i]) < 3e-3);
  }
  // At each time the shares of the paths add up to 1, as do the probabilities.
  for (size_t t = 0; t < 700; ++t) {
    double total = 0;
    for (size_t v = 0; v < 37; ++v) total += in_float.gradient[t * 37 + v];
    REQUIRE(std::abs(total) < 1e-5);
  }
}

TEST_CASE("ctc_loss: a NaN is not lost") {
  Tensor logits = normal(Key{5}, {2, 6, 3});
  logits.data<float>()[4] = std::numeric_limits<float>::quiet_NaN();
  const Tensor targets = tensor<int32_t>({1, 2, 1, 2}, {2, 2});
  const Result r = run(logits, targets, {6, 6}, {2, 2});
  CHECK(std::isnan(r.losses[0]));
  CHECK(std::isfinite(r.losses[1]));
}

TEST_CASE("ctc_loss: messages") {
  const Tensor logits = normal(Key{6}, {2, 5, 3});
  const Tensor targets = tensor<int32_t>({1, 2, 1, 2}, {2, 2});
  const auto fails = [&](const Tensor& y, const std::vector<int32_t>& times,
                         const std::vector<int32_t>& labels, const char* text,
                         const CtcOptions& options = {}) {
    CHECK_THROWS_WITH(run(logits, y, times, labels, options), Catch::Contains(text));
  };
  fails(targets, {5, 6}, {2, 2}, "input length 6 of utterance 1 is none of 0 .. 5");
  fails(targets, {5, -1}, {2, 2}, "input length -1 of utterance 1");
  fails(targets, {5, 5}, {3, 2}, "target length 3 of utterance 0 is none of 0 .. 2");
  fails(tensor<int32_t>({1, 2, 1, 3}, {2, 2}), {5, 5}, {2, 2},
        "target 3 at position [1, 1] is none of the 3 classes");
  fails(tensor<int32_t>({1, 0, 1, 2}, {2, 2}), {5, 5}, {2, 2},
        "target 0 at position [0, 1] is the blank");
  fails(targets, {5, 5}, {2, 2}, "the blank 3 is none of the 3 classes", {.blank = 3});
  fails(targets, {5}, {2, 2}, "expected logits [B, T, V], targets [B, U]");
  fails(normal(Key{1}, {2, 2}), {5, 5}, {2, 2}, "expected float logits and int32 targets");
  // What lies behind a target's length is not looked at.
  CHECK_NOTHROW(run(logits, tensor<int32_t>({1, -7, 1, 2}, {2, 2}), {5, 5}, {1, 2}));
}

}  // namespace rapt
