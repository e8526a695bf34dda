// Every combination of what attention's options can ask for: its gradients, first and second order,
// against finite differences in double.
#include "framework/graph/tape.hpp"
#include "ops/attention/attention.hpp"
#include "ops/autodiff/check_gradient.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

struct Sizes {
  int64_t Hk, Tq, Tk;
};

constexpr int64_t B = 1, Hq = 2, D = 2, Dv = 1;

/// What is learned beside q, k and v, in the order in which it was asked for.
class Inputs {
 public:
  explicit Inputs(std::span<const Var> given) : given_(given) {}
  Inputs() = default;

  /// Without inputs to hand out, it takes down their shapes.
  Var take(const Shape& shape) {
    specs.push_back({shape});
    if (given_.empty()) return as_var(zeros(shape, DType::float64));
    return given_[specs.size() - 1];
  }

  std::vector<InputSpec> specs;

 private:
  std::span<const Var> given_;
};

struct MaskKind {
  const char* name;
  Mask (*make)(Inputs&, const Sizes&);
};

struct ScoreKind {
  const char* name;
  ScoreFunction (*make)(Inputs&, const Sizes&);
};

Tensor numbers(int64_t count, int32_t by) {
  Tensor x({1, count}, DType::int32);
  int32_t n = 0;
  for (int32_t& id : x.data<int32_t>()) id = n++ / by;
  return x;
}

const MaskKind masks[] = {
    {"no mask", [](Inputs&, const Sizes&) { return Mask{}; }},
    {"causal", [](Inputs&, const Sizes&) { return causal(); }},
    {"lengths", [](Inputs&, const Sizes&) { return lengths(tensor<int32_t>({2})); }},
    {"window", [](Inputs&, const Sizes&) { return sliding_window(1); }},
    {"prefix", [](Inputs&, const Sizes&) { return prefix(2); }},
    {"documents",
     [](Inputs&, const Sizes& s) { return documents(numbers(s.Tq, 2), numbers(s.Tk, 2)); }},
    {"keep",
     [](Inputs&, const Sizes& s) {
       Tensor x = full({B, s.Tq, s.Tk}, 1, DType::boolean);
       x.data<bool>()[1] = false;
       for (int64_t j = 0; j < s.Tk; ++j) {  // the last query sees nothing
         x.data<bool>()[static_cast<size_t>((s.Tq - 1) * s.Tk + j)] = false;
       }
       return keep(x);
     }},
    {"additive",
     [](Inputs& in, const Sizes& s) {
       return additive(in.take({Hq, 1, s.Tk}));
     }},
    {"all",
     [](Inputs& in, const Sizes& s) {
       return causal() & lengths(tensor<int32_t>({3})) & sliding_window(2) &
              documents(numbers(s.Tq, 3), numbers(s.Tk, 3)) & additive(in.take({s.Tk}));
     }},
};

const ScoreKind scores[] = {
    {"none", [](Inputs&, const Sizes&) { return ScoreFunction(); }},
    {"soft cap", [](Inputs&, const Sizes&) { return score::softcap(0.8); }},
    {"ALiBi", [](Inputs& in, const Sizes&) { return score::alibi(in.take({Hq})); }},
    {"relative bias",
     [](Inputs& in, const Sizes&) {
       return score::relative_bias(in.take({Hq, 3}));
     }},
    {"a product with a gathered element",
     [](Inputs& in, const Sizes&) {
       const Var table = in.take({3});
       return ScoreFunction([table](const Score& s) {
         return sigmoid(s.value) * table[floor(abs(s.key - s.query) / 2)] * 3;
       });
     }},
};

Var attend(std::span<const Var> given, Inputs& in, const Sizes& s, const MaskKind& a,
           const MaskKind& b, const ScoreKind& score, bool bias, double dropout) {
  const Var q = in.take({B, Hq, s.Tq, D}), k = in.take({B, s.Hk, s.Tk, D});
  const Var v = in.take({B, s.Hk, s.Tk, Dv});
  AttentionOptions options{.dropout = dropout};
  if (bias) options.bias = in.take({Hq, s.Tq, 1});
  options.mask = a.make(in, s);
  if (&a != &b) options.mask = options.mask & b.make(in, s);
  options.score = score.make(in, s);
  return given.empty() ? Var() : attention(q, k, v, options);
}

/// A kind alone, or two of them joined.
std::string name_of(const MaskKind& a, const MaskKind& b) {
  return &a == &b ? a.name : std::string(a.name) + " & " + b.name;
}

void check(const Sizes& s, const MaskKind& a, const MaskKind& b, const ScoreKind& score, bool bias,
           double dropout) {
  CAPTURE(s.Hk, s.Tq, s.Tk, name_of(a, b), score.name, bias, dropout);
  Inputs shapes;
  {
    const Tape tape;
    attend({}, shapes, s, a, b, score, bias, dropout);
  }
  for (InputSpec& spec : shapes.specs) spec.low = -1, spec.high = 1;
  CHECK_NOTHROW(check_gradient(
      [&](std::span<const Var> given) {
        Inputs in(given);
        return attend(given, in, s, a, b, score, bias, dropout);
      },
      shapes.specs));
}

}  // namespace

TEST_CASE("every combination of attention's options has the gradients of its values") {
  for (const Sizes& s : {Sizes{2, 2, 3}, Sizes{1, 4, 3}}) {
    for (const MaskKind& a : masks) {
      for (const MaskKind* b = &a; b != std::end(masks); ++b) {
        for (const ScoreKind& score : scores) {
          for (const bool bias : {false, true}) {
            for (const double dropout : {0.0, 0.4}) check(s, a, *b, score, bias, dropout);
          }
        }
      }
    }
  }
}

}  // namespace rapt
