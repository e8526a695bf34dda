// Attention: dot-product, additive, to caches.
#include <cmath>

#include "ops/attention/additive_attention.hpp"
#include "ops/attention/attention.hpp"
#include "ops/attention/attention_weights.hpp"
#include "ops/attention/cached_attention.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "tests/random_programs/generator.hpp"

namespace rapt::programs {
namespace {

// The limits of a mask, as bits of an attribute. Each limit with an array has one operand, in this
// order.
enum Limit : int64_t {
  is_causal = 1,
  in_window = 2,
  has_prefix = 4,
  has_lengths = 8,
  has_documents = 16,
  has_keep = 32,
  has_additive = 64,
};

struct Sizes {
  int64_t B, H, Tq, Tk;
};

/// Draws limits and appends their operands.
int64_t choose_limits(Generator& g, const Sizes& n, std::vector<int>& in, bool heads) {
  int64_t limits = 0;
  for (const int64_t bit :
       {is_causal, in_window, has_prefix, has_lengths, has_documents, has_keep, has_additive}) {
    if (g.chance(bit == is_causal ? 0.3 : 0.15)) limits |= bit;
  }
  if (limits & has_lengths) in.push_back(g.whole({n.B}, 0, n.Tk + 1));
  if (limits & has_documents) {
    in.push_back(g.leaf({g.chance(0.5) ? n.B : 1, n.Tq}, DType::int32, 0, 2));
    in.push_back(g.leaf({g.shape(in.back())[0], n.Tk}, DType::int32, 0, 2));
  }
  if (limits & has_keep) {
    in.push_back(g.boolean(g.chance(0.4) ? Shape{n.B, n.Tk} : Shape{n.B, n.Tq, n.Tk}));
  }
  if (limits & has_additive) {
    in.push_back(g.of_shape(
        {g.chance(0.5) ? n.B : 1, heads && g.chance(0.5) ? n.H : 1, g.chance(0.5) ? n.Tq : 1, n.Tk},
        3));
  }
  return limits;
}

/// Reads the operands starting at in[i], and advances i past them.
Mask mask_of(int64_t limits, const Vars& in, size_t& i) {
  Mask mask;
  if (limits & is_causal) mask = mask & causal();
  if (limits & in_window) mask = mask & sliding_window(1);
  if (limits & has_prefix) mask = mask & prefix(1);
  if (limits & has_lengths) mask = mask & lengths(in[i++]);
  if (limits & has_documents) {
    mask = mask & documents(in[i], in[i + 1]);
    i += 2;
  }
  if (limits & has_keep) mask = mask & keep(in[i++]);
  if (limits & has_additive) mask = mask & additive(in[i++]);
  return mask;
}

enum class ScoreKind : int64_t { none, softcap, alibi, relative, temperature, slope, t5, whole };

ScoreFunction score_of(ScoreKind kind, const Var& table) {
  switch (kind) {
    case ScoreKind::none:
      return {};
    case ScoreKind::softcap:
      return score::softcap(3);
    case ScoreKind::alibi:
      return score::alibi(table);
    case ScoreKind::relative:
      return score::relative_bias(table);
    case ScoreKind::temperature:
      return score::temperature(table);
    case ScoreKind::t5:
      return score::t5_bias(table);
    case ScoreKind::slope:
      return [table](const Score& s) {
        return tanh(s.value / 3) * 2 + table[s.head] * (s.key - s.query);
      };
    case ScoreKind::whole:
      return [table](const Score& s) { return s.value * sigmoid(table) + table; };
  }
  return {};
}

Shape table_of(ScoreKind kind, const Sizes& n) {
  if (kind == ScoreKind::relative) return {n.H, 5};
  if (kind == ScoreKind::t5) return {6, n.H};
  if (kind == ScoreKind::whole) return {n.Tq, n.Tk};
  return {n.H};
}

// The requested result of an attention.
enum class Part : int64_t { values, weights, average, head, statistics };

bool choose_attention(Generator& g) {
  const int64_t heads = g.one_of({1, 2, 2, 4}),
                shared = g.chance(0.3) && heads > 1 ? heads / 2 : heads;
  Sizes n{g.between(1, 2), heads, g.dim(), g.dim()};
  const int64_t D = g.between(1, 4), Dv = g.between(1, 4);
  int q, k, v;
  if (g.chance(0.3)) {
    // A projection [B, T, H D] split into heads.
    n.Tk = n.Tq;
    const int64_t width = heads * D;
    const int x = g.of_shape({n.B, n.Tq, width}, 4);
    const auto part = [&] {
      const int y = g.emit("linear", {x, g.weight({width, width})}, {0}, 6);
      return g.emit("transpose", {g.emit("reshape", {y}, {n.B, n.Tq, heads, D})}, {1, 2});
    };
    q = part(), k = part(), v = part();
  } else {
    q = g.of_shape({n.B, heads, n.Tq, D}, 4);
    k = g.of_shape({n.B, shared, n.Tk, D}, 4);
    v = g.of_shape({n.B, shared, n.Tk, Dv}, 6);
  }
  std::vector<int> in{q, k, v};
  const int64_t limits = g.chance(0.5) ? choose_limits(g, n, in, true) : 0;
  const bool bias = g.chance(0.25);
  if (bias) {
    in.push_back(g.of_shape(g.chance(0.5) ? Shape{n.Tq, n.Tk} : Shape{heads, 1, n.Tk}, 3));
  }
  const auto score = g.chance(0.4) ? static_cast<ScoreKind>(g.between(1, 7)) : ScoreKind::none;
  if (score > ScoreKind::softcap) {
    in.push_back(score == ScoreKind::temperature ? g.leaf({heads}, g.real(), 0.5, 2)
                                                 : g.weight(table_of(score, n)));
  }
  const int64_t dropout = g.is_training() && g.chance(0.25) ? g.between(1, 5) : 0;
  const auto part = g.chance(0.3) ? static_cast<int64_t>(g.between(1, 4)) : 0;
  const int y = g.emit("attention", in,
                       {part, limits, bias ? 1 : 0, static_cast<int64_t>(score), dropout}, 6);
  // Merges the heads again: a view that costs nothing.
  if (part == 0 && g.chance(0.4)) {
    const Shape s = g.shape(y);
    g.emit("reshape", {g.emit("transpose", {y}, {1, 2})}, {s[0], s[2], s[1] * s[3]});
  }
  return true;
}

/// Records self-attention from one projection. Its gradients are written into slices of the
/// projection's gradient.
bool choose_self_attention(Generator& g) {
  const int64_t B = g.between(1, 2), T = g.dim(), H = g.one_of({1, 2}), D = 2 * g.between(1, 2);
  const bool many = g.chance(0.05);
  const Sizes n{B, H, many ? 40 : T, many ? 40 : T};
  const int64_t width = H * D;
  const int x = g.of_shape({n.B, n.Tq, width}, 4);
  const int all = g.emit("linear", {x, g.weight({3 * width, width})}, {0}, 6);
  std::vector<int> parts;
  const int64_t form = g.below(5);
  if (form < 3) {  // [B, T, 3 H, D], as in models::MultiHead
    const int heads = g.emit("reshape", {all}, {n.B, n.Tq, 3 * H, D});
    for (const int64_t i : {0, 1, 2}) {
      parts.push_back(g.emit("slice", {heads}, {2, i * H, (i + 1) * H, 1}));
    }
  } else if (form == 3) {  // [B, T, 3, H, D]
    const int heads = g.emit("reshape", {all}, {n.B, n.Tq, 3, H, D});
    for (const int64_t i : {0, 1, 2}) parts.push_back(g.emit("select", {heads}, {2, i}));
  } else {
    g.emit("split", {all}, {2, width, width, width});
    const std::vector<int> pieces{g.output(0), g.output(1), g.output(2)};
    for (const int piece : pieces) {
      parts.push_back(g.emit("reshape", {piece}, {n.B, n.Tq, H, D}));
    }
  }
  if (g.chance(0.3)) {
    for (size_t i = 0; i < 2; ++i) parts[i] = g.emit("rotary", {parts[i]}, {n.Tq + 4, D}, 7);
  }
  std::vector<int> in;
  for (const int part : parts) in.push_back(g.emit("transpose", {part}, {1, 2}));
  const int64_t limits = g.chance(0.4) ? choose_limits(g, n, in, true) : 0;
  const int y = g.emit("attention", in, {0, limits, 0, 0, 0}, 6);
  const int merged = g.emit("reshape", {g.emit("transpose", {y}, {1, 2})}, {n.B, n.Tq, width});
  if (g.chance(0.6)) {
    // Differentiates at once: by the inputs, and occasionally by slices of the projection.
    std::vector<int> wanted{merged, x};
    if (g.chance(0.4)) wanted.push_back(in[static_cast<size_t>(g.below(3))]);
    if (g.chance(0.4)) wanted.push_back(all);
    if (g.chance(0.3)) wanted.push_back(parts[static_cast<size_t>(g.below(3))]);
    g.emit("grad", wanted, {}, 16);
    // A slice that another statement requests too.
    if (wanted.size() > 2 && g.chance(0.6)) {
      const int piece = g.output(1);
      if (g.chance(0.5)) g.emit("tanh", {piece}, {}, 0);
      if (g.chance(0.5)) g.emit("look", {piece, piece - 1}, {1});
      if (g.chance(0.5)) g.emit("contiguous", {piece});
    }
  } else {
    g.emit("add", {x, merged}, {}, 7);
  }
  return true;
}

Vars record_attention(const Statement& s, const Vars& in, const Recording&) {
  size_t i = 3;
  AttentionOptions options;
  options.mask = mask_of(s.p[1], in, i);
  if (s.p[2] != 0) options.bias = in[i++];
  const auto score = static_cast<ScoreKind>(s.p[3]);
  options.score = score_of(score, score > ScoreKind::softcap ? in[i] : Var());
  options.dropout = static_cast<double>(s.p[4]) / 10;
  switch (static_cast<Part>(s.p[0])) {
    case Part::values:
      return {attention(in[0], in[1], in[2], options)};
    case Part::weights:
      return {attention_weights(in[0], in[1], options)};
    case Part::average:
      return {attention_weights(in[0], in[1], options, {.average = true})};
    case Part::head:
      return {attention_weights(in[0], in[1], options, {.head = 0})};
    case Part::statistics:
      break;
  }
  const AttentionStatistics found = attention_statistics(in[0], in[1], options, {.top = 2});
  // The values have no gradient: floor() prevents requests for one.
  return {found.entropy, found.largest, floor(found.values * 64), found.keys};
}

bool choose_additive(Generator& g) {
  const Sizes n{g.dim(), 1, g.dim(), g.dim()};
  const int64_t A = g.dim(), M = g.dim();
  const bool one = g.chance(0.3);
  const int q = g.of_shape(one ? Shape{n.B, A} : Shape{n.B, n.Tq, A}, 4);
  const int v = g.weight({A});
  std::vector<int> in{q, g.of_shape({n.B, n.Tk, A}, 4), v, g.of_shape({n.B, n.Tk, M}, 6)};
  const int64_t limits =
      g.chance(0.5) ? choose_limits(g, {n.B, 1, one ? 1 : n.Tq, n.Tk}, in, false) : 0;
  g.emit("additive_attention", in, {limits}, 6);
  return true;
}

}  // namespace

void add_attention_kinds(std::vector<Kind>& kinds) {
  kinds.push_back({.name = "attention",
                   .weight = 2,
                   .choose = choose_attention,
                   .apply = record_attention,
                   .text = "attention(/*q, k, v, those of the mask, bias, score*/ $*, "
                           "/*part, limits, bias, score, tenths of dropout*/ #*)"});
  kinds.push_back({.name = "self_attention", .weight = 2, .choose = choose_self_attention});
  kinds.push_back({.name = "additive_attention",
                   .weight = 1,
                   .choose = choose_additive,
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     size_t i = 4;
                     const Var y =
                         additive_attention(in[0], in[1], in[2], in[3], mask_of(s.p[0], in, i));
                     return {y, y.output(1)};
                   },
                   .text = "additive_attention($*, /*limits*/ #0), .output(1)"});
  kinds.push_back(
      {.name = "cached_attention",
       .weight = 0.4,
       .choose =
           [](Generator& g) {
             const int64_t R = g.dim(), N = R + g.below(2), T = g.dim(), Hk = g.between(1, 2);
             const int64_t Hq = Hk * g.between(1, 2), D = g.dim(), Dv = g.dim(), at = g.below(T);
             const int q = g.of_shape({R, Hq, D}, 4), k = g.of_shape({R, Hk, D}, 4);
             const int v = g.of_shape({R, Hk, Dv}, 4);
             std::vector<int> in{q, k, v, g.leaf({R, T}, DType::int32, 0, static_cast<double>(N))};
             if (g.chance(0.4)) in.push_back(g.of_shape({Hq, T}, 4));
             g.emit("cached_attention", in, {T, N, Hk, D, Dv, at, g.below(1000)}, 4);
             return true;
           },
       .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         // Each recording has its own cache, because the operator writes to it.
         const Key key = Key{5}.fold(static_cast<uint64_t>(s.p[6]));
         const DType type = in[0].dtype();
         const KeyValueCache cache{
             uniform(key.fold(0), {s.p[0], s.p[1], s.p[2], s.p[3]}, -1, 1, type),
             uniform(key.fold(1), {s.p[0], s.p[1], s.p[2], s.p[4]}, -1, 1, type)};
         const Tensor place = tensor<int32_t>({static_cast<int32_t>(s.p[5])});
         return {cached_attention(in[0], in[1], in[2], cache, in[3], place, 0,
                                  in.size() > 4 ? in[4] : Var())};
       },
       .text = "cached_attention(/*q, k, v, ancestors, bias*/ $*, "
               "/*cache [T, N, Hk, D and Dv], place, key*/ #*)"});
  kinds.push_back({.name = "shared_attention",
                   .weight = 0.4,
                   .choose =
                       [](Generator& g) {
                         const int64_t L = g.dim(), W = g.between(1, 2), Hk = g.between(1, 2);
                         const int64_t Hq = Hk * g.between(1, 2), D = g.dim(), Dv = g.dim();
                         const int64_t B = g.dim(), S = g.dim();
                         const int q = g.of_shape({L * W, Hq, D}, 4);
                         const int k = g.of_shape({B, S, Hk, D}, 4);
                         const int v = g.of_shape({B, S, Hk, Dv}, 4);
                         const int memory = g.whole({L}, 0, B), count = g.whole({B}, 0, S + 1);
                         g.emit("shared_attention", {q, k, v, memory, count}, {}, 4);
                         return true;
                       },
                   .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
                     return {shared_attention(in[0], in[1], in[2], in[3], in[4])};
                   }});
}

}  // namespace rapt::programs
