// Matrix products, convolutions, pooling, recurrences, CTC, rotary positions.
#include <cmath>

#include "ops/attention/rotary.hpp"
#include "ops/convolution/convolution.hpp"
#include "ops/convolution/pooling.hpp"
#include "ops/products/matmul.hpp"
#include "ops/recurrent/recurrent.hpp"
#include "ops/rows/ctc.hpp"
#include "tests/random_programs/generator.hpp"

namespace rapt::programs {
namespace {

bool choose_matmul(Generator& g) {
  const int a = g.tame(g.any_real(1), 8);
  const Shape s = g.shape(a);
  std::vector<int64_t> dims;
  if (s.rank() > 2 && g.chance(0.5)) {
    for (int axis = 0; axis < s.rank() - 2; ++axis) dims.push_back(g.chance(0.3) ? 1 : s[axis]);
  } else if (g.chance(0.1)) {
    dims.push_back(g.dim());
  }
  dims.push_back(s[-1]);
  if (!(dims.size() == 1 && g.chance(0.3))) dims.push_back(g.chance(0.5) ? s[-1] : g.dim());
  const double bound = g.bound(a) + 8;
  if (dims.size() >= 2 && g.chance(0.4)) {
    // The right operand is a transposed view.
    std::vector<int64_t> stored = dims;
    std::swap(stored[stored.size() - 1], stored[stored.size() - 2]);
    const int b = g.emit("transpose", {g.tame(g.of_shape(Shape(stored)), 5)},
                         {-1, int64_t(stored.size()) - 2});
    g.emit("matmul", {a, b}, {}, bound);
  } else {
    g.emit("matmul", {a, g.tame(g.of_shape(Shape(dims)), 5)}, {}, bound);
  }
  return true;
}

void add_matrices(std::vector<Kind>& kinds) {
  kinds.push_back({.name = "matmul",
                   .weight = 3,
                   .choose = choose_matmul,
                   .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
                     return {matmul(in[0], in[1])};
                   }});
  kinds.push_back({.name = "linear",
                   .weight = 3,
                   .choose =
                       [](Generator& g) {
                         const int x = g.tame(g.any_real(1), 8);
                         const int64_t width = g.shape(x)[-1],
                                       out = g.chance(0.5) ? width : g.dim();
                         std::vector<int> in{x, g.weight({out, width})};
                         if (g.chance(0.6)) in.push_back(g.weight({out}));
                         g.emit("linear", in, {g.below(4)}, g.bound(x) + 8);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {linear(in[0], in[1], in.size() > 2 ? Arg(in[2]) : Arg(Var()),
                                    static_cast<Activation>(s.p[0]))};
                   },
                   .text = "linear($*, Activation(#0))"});
}

void add_windows(std::vector<Kind>& kinds) {
  kinds.push_back(
      {.name = "conv1d",
       .weight = 0.7,
       .choose =
           [](Generator& g) {
             const int64_t groups = g.one_of({1, 1, 2}), c = groups * g.between(1, 2);
             const int64_t o = groups * g.between(1, 3), k = g.between(1, 3);
             const int x = g.of_shape({g.between(1, 2), c, g.between(5, 7)}, 6);
             std::vector<int> in{x, g.weight({o, c / groups, k})};
             if (g.chance(0.5)) in.push_back(g.weight({o}));
             g.emit("conv1d", in, {g.between(1, 2), g.below(2), g.between(1, 2), groups}, 12);
             return true;
           },
       .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         return {
             conv1d(in[0], in[1], in.size() > 2 ? Arg(in[2]) : Arg(Var()),
                    {.stride = s.p[0], .padding = s.p[1], .dilation = s.p[2], .groups = s.p[3]})};
       },
       .text = "conv1d($*, {#*})"});
  kinds.push_back(
      {.name = "conv2d",
       .weight = 0.7,
       .choose =
           [](Generator& g) {
             const int64_t groups = g.one_of({1, 1, 2}), c = groups * g.between(1, 2);
             const int64_t o = groups * g.between(1, 3);
             const int x = g.of_shape({g.between(1, 2), c, g.between(3, 5), g.between(4, 6)}, 6);
             std::vector<int> in{x, g.weight({o, c / groups, g.between(1, 3), g.between(1, 2)})};
             if (g.chance(0.5)) in.push_back(g.weight({o}));
             g.emit("conv2d", in, {g.between(1, 2), g.below(2), 1, groups}, 12);
             return true;
           },
       .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         return {
             conv2d(in[0], in[1], in.size() > 2 ? Arg(in[2]) : Arg(Var()),
                    {.stride = s.p[0], .padding = s.p[1], .dilation = s.p[2], .groups = s.p[3]})};
       },
       .text = "conv2d($*, {#*})"});
  const auto pool = [&](const std::string& name, int axes, auto function) {
    kinds.push_back({.name = name,
                     .weight = 0.4,
                     .choose =
                         [name, axes](Generator& g) {
                           const int x = g.any_real(axes);
                           const int64_t kernel = g.between(1, 3);
                           g.emit(name, {x}, {kernel, g.below(3), g.below(kernel / 2 + 1)});
                           return true;
                         },
                     .apply = [function](const Statement& s, const Vars& in,
                                         const Recording&) -> Vars { return {function(in[0], s)}; },
                     .text = name + "($0, {#*})"});
  };
  pool("max_pool1d", 1, [](const Var& x, const Statement& s) {
    return max_pool1d(x, {.kernel = s.p[0], .stride = s.p[1], .padding = s.p[2]});
  });
  pool("avg_pool1d", 1, [](const Var& x, const Statement& s) {
    return avg_pool1d(x, {.kernel = s.p[0], .stride = s.p[1], .padding = s.p[2]});
  });
  pool("max_pool2d", 2, [](const Var& x, const Statement& s) {
    return max_pool2d(x, {.kernel = s.p[0], .stride = s.p[1], .padding = s.p[2]});
  });
  pool("avg_pool2d", 2, [](const Var& x, const Statement& s) {
    return avg_pool2d(x, {.kernel = s.p[0], .stride = s.p[1], .padding = s.p[2]});
  });
}

/// Records steps of a cell that share its weights, like the time loop of a model.
bool choose_cell(Generator& g, bool lstm) {
  const int64_t gates = lstm ? 4 : 3;
  const int64_t B = g.dim(), C = g.dim(), H = g.dim(), T = g.between(1, 3);
  const bool whole = g.chance(0.6);  // the whole cell, else from the gates on
  const int wih = whole ? g.weight({gates * H, C}) : -1, whh = g.weight({gates * H, H});
  const int bih = whole ? g.weight({gates * H}) : -1, bhh = g.weight({gates * H});
  const int lengths = g.chance(0.4) ? g.whole({B}, 0, T + 1) : -1;
  int h = g.of_shape({B, H}, 3), c = lstm ? g.of_shape({B, H}, 3) : -1;
  const std::string name = std::string(lstm ? "lstm" : "gru") + (whole ? "_cell" : "_gates");
  for (int64_t t = 0; t < T; ++t) {
    std::vector<int> in{g.of_shape({B, whole ? C : gates * H}, 4), h};
    if (lstm) in.push_back(c);
    if (whole) in.push_back(wih);
    in.push_back(whh);
    if (whole) in.push_back(bih);
    in.push_back(bhh);
    if (lengths >= 0) in.push_back(lengths);
    g.emit(name, in, {lengths >= 0 ? t : -1}, 3);
    h = g.output(0);
    if (lstm) c = g.output(1);
  }
  return true;
}

bool choose_sequence(Generator& g, bool lstm) {
  const int64_t gates = lstm ? 4 : 3, T = g.between(1, 4), B = g.dim(), H = g.dim();
  std::vector<int> in{g.of_shape({T, B, gates * H}, 4), g.of_shape({B, H}, 3)};
  if (lstm) in.push_back(g.of_shape({B, H}, 3));
  in.push_back(g.weight({gates * H, H}));
  in.push_back(g.weight({gates * H}));
  const bool lengths = g.chance(0.5);
  if (lengths) in.push_back(g.whole({B}, 0, T + 1));
  g.emit(lstm ? "lstm_sequence" : "gru_sequence", in, {lengths ? 1 : 0, g.below(2)}, 3);
  return true;
}

RecurrentStep step_of(const Statement& s, const Vars& in) {
  return s.p[0] < 0 ? RecurrentStep{} : RecurrentStep{in.back(), s.p[0]};
}

RecurrentSequence sequence_of(const Statement& s, const Vars& in) {
  return {s.p[0] != 0 ? in.back() : Var(), s.p[1] != 0};
}

Vars both(const LstmState& state) { return {state.h, state.c}; }

void add_recurrent(std::vector<Kind>& kinds) {
  const auto gru = [](Generator& g) { return choose_cell(g, false); };
  const auto lstm = [](Generator& g) { return choose_cell(g, true); };
  const std::string text = "($*, /*step, lengths are the last operand where not -1*/ #0)";
  kinds.push_back({"gru_cell", 0.5, gru,
                   [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {gru_cell(in[0], in[1], in[2], in[3], in[4], in[5], step_of(s, in))};
                   },
                   "gru_cell" + text});
  kinds.push_back({"gru_gates",
                   0,
                   {},
                   [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {gru_gates(in[0], in[1], in[2], in[3], step_of(s, in))};
                   },
                   "gru_gates" + text});
  kinds.push_back(
      {"lstm_cell", 0.5, lstm,
       [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         return both(lstm_cell(in[0], {in[1], in[2]}, in[3], in[4], in[5], in[6], step_of(s, in)));
       },
       "lstm_cell" + text});
  kinds.push_back({"lstm_gates",
                   0,
                   {},
                   [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return both(lstm_gates(in[0], {in[1], in[2]}, in[3], in[4], step_of(s, in)));
                   },
                   "lstm_gates" + text});
  const std::string whole = "($*, /*lengths are the last operand, reverse*/ #*)";
  kinds.push_back({"gru_sequence", 0.5, [](Generator& g) { return choose_sequence(g, false); },
                   [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {gru_sequence(in[0], in[1], in[2], in[3], sequence_of(s, in))};
                   },
                   "gru_sequence" + whole});
  kinds.push_back(
      {"lstm_sequence", 0.5, [](Generator& g) { return choose_sequence(g, true); },
       [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         return both(lstm_sequence(in[0], {in[1], in[2]}, in[3], in[4], sequence_of(s, in)));
       },
       "lstm_sequence" + whole});
}

}  // namespace

void add_product_kinds(std::vector<Kind>& kinds) {
  add_matrices(kinds);
  add_windows(kinds);
}

void add_sequence_kinds(std::vector<Kind>& kinds) {
  add_recurrent(kinds);
  kinds.push_back(
      {.name = "ctc_loss",
       .weight = 0.4,
       .choose =
           [](Generator& g) {
             const int64_t B = g.between(1, 3), T = g.between(1, 6), U = g.below(4);
             const int64_t V = g.between(2, 5);
             const int logits = g.of_shape({B, T, V}, 4);
             const int labels = g.whole({B, U}, 1, V);
             const int times = g.whole({B}, T / 2, T + 1), count = g.whole({B}, 0, U + 1);
             g.emit("ctc_loss", {logits, labels, times, count}, {g.below(3)}, 8);
             return true;
           },
       .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         return {ctc_loss(in[0], in[1], in[2], in[3],
                          {.reduction = static_cast<Reduction>(s.p[0]), .zero_infinity = true})};
       },
       .text = "ctc_loss($*, {.reduction = Reduction(#0), .zero_infinity = true})"});
  kinds.push_back({.name = "rotary",
                   .weight = 0.7,
                   .choose =
                       [](Generator& g) {
                         const int64_t B = g.dim(), T = g.dim(), D = 2 * g.between(1, 3);
                         const Shape s = g.chance(0.5) ? Shape{B, T, g.dim(), D} : Shape{B, T, D};
                         const int x = g.of_shape(s, 6);
                         std::vector<int> in{x};
                         if (g.chance(0.5)) in.push_back(g.whole({g.chance(0.5) ? B : 1}, 0, 4));
                         g.emit("rotary", in, {T + 4, D}, g.bound(x) + 1);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     const Tensor table = rotary_table(s.p[0], s.p[1], 100, in[0].dtype());
                     return {rotary(in[0], table, in.size() > 1 ? Arg(in[1]) : Arg(Var()))};
                   },
                   .text = "rotary(/*x, first*/ $*, rotary_table(#0, #1, 100))"});
}

}  // namespace rapt::programs
