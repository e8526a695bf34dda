// Views, slices and indices.
#include <algorithm>
#include <cmath>

#include "ops/rows/draw.hpp"
#include "ops/rows/top_k.hpp"
#include "ops/shape/embedding.hpp"
#include "ops/shape/gather.hpp"
#include "ops/shape/index.hpp"
#include "ops/shape/shape.hpp"
#include "tests/random_programs/generator.hpp"

namespace rapt::programs {
namespace {

using Apply = Vars (*)(const Statement&, const Vars&, const Recording&);

int at(const Statement& s, size_t i) { return static_cast<int>(s.p[i]); }

Shape shape_of(const Statement& s, size_t from) { return Shape(std::span(s.p).subspan(from)); }

/// Adds a kind with one operand; its attributes depend on the operand's shape.
void view(std::vector<Kind>& kinds, const std::string& name, int at_least,
          std::vector<int64_t> (*attributes)(Generator&, int), Apply apply, std::string text = {}) {
  kinds.push_back({.name = name,
                   .weight = 1,
                   .choose =
                       [=](Generator& g) {
                         const int x = g.any_real(at_least);
                         if (g.rank(x) < at_least) return false;
                         g.emit(name, {x}, attributes(g, x));
                         return true;
                       },
                   .apply = apply,
                   .text = std::move(text)});
}

std::vector<int64_t> nothing(Generator&, int) { return {}; }
std::vector<int64_t> an_axis(Generator& g, int x) { return {g.between(-g.rank(x), g.rank(x) - 1)}; }
std::vector<int64_t> two_axes(Generator& g, int x) {
  return {g.between(-g.rank(x), g.rank(x) - 1), g.below(g.rank(x))};
}

std::vector<int64_t> another_shape(Generator& g, int x) {
  std::vector<int64_t> dims = g.dims(x);
  if (g.shape(x).size() == 0) return dims;
  if (dims.size() > 1 && g.chance(0.6)) {
    const auto i = static_cast<size_t>(g.below(static_cast<int64_t>(dims.size()) - 1));
    dims[i] *= dims[i + 1];
    dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  } else {
    const auto i = static_cast<size_t>(g.below(static_cast<int64_t>(dims.size())));
    if (i < dims.size() && dims[i] % 2 == 0) {
      dims[i] /= 2;
      dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(i), 2);
    } else {
      std::reverse(dims.begin(), dims.end());
    }
  }
  if (!dims.empty() && g.chance(0.3)) dims[static_cast<size_t>(g.below(2)) % dims.size()] = -1;
  return dims;
}

std::vector<int64_t> a_slice(Generator& g, int x) {
  const int64_t axis = g.below(g.rank(x)), n = g.shape(x)[static_cast<int>(axis)];
  int64_t begin = g.below(n + 1), end = begin + g.below(n - begin + 1);
  if (end == begin && g.chance(0.9)) begin = 0, end = n;
  // Occasionally counted from the end.
  if (begin > 0 && begin < n && g.chance(0.3)) begin -= n;
  if (end < n && end > 0 && g.chance(0.3)) end -= n;
  return {axis, begin, end, g.one_of({1, 1, 1, 2, 3})};
}

void add_views(std::vector<Kind>& kinds) {
  view(kinds, "contiguous", 0, nothing,
       [](const Statement&, const Vars& in, const Recording&) -> Vars {
         return {contiguous(in[0])};
       });
  view(kinds, "alias", 0, nothing,
       [](const Statement&, const Vars& in, const Recording&) -> Vars { return {alias(in[0])}; });
  view(
      kinds, "reshape", 0, another_shape,
      [](const Statement& s, const Vars& in, const Recording&) -> Vars {
        return {reshape(in[0], std::span(s.p))};
      },
      "reshape($0, {#*})");
  view(kinds, "transpose", 1, two_axes,
       [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         return {transpose(in[0], at(s, 0), at(s, 1))};
       });
  view(
      kinds, "permute", 1,
      [](Generator& g, int x) {
        std::vector<int64_t> axes(static_cast<size_t>(g.rank(x)));
        for (size_t i = 0; i < axes.size(); ++i) {
          axes[i] = static_cast<int64_t>(i);
          std::swap(axes[i], axes[static_cast<size_t>(g.below(static_cast<int64_t>(i) + 1))]);
        }
        return axes;
      },
      [](const Statement& s, const Vars& in, const Recording&) -> Vars {
        const std::vector<int> axes(s.p.begin(), s.p.end());
        return {permute(in[0], Axes(std::span(axes)))};
      },
      "permute($0, {#*})");
  view(
      kinds, "unsqueeze", 0,
      [](Generator& g, int x) { return std::vector{g.below(g.rank(x) + 1)}; },
      [](const Statement& s, const Vars& in, const Recording&) -> Vars {
        return {unsqueeze(in[0], at(s, 0))};
      });
  view(kinds, "slice", 1, a_slice,
       [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         return {slice(in[0], at(s, 0), s.p[1], s.p[2], s.p[3])};
       });
  view(kinds, "flip", 1, an_axis, [](const Statement& s, const Vars& in, const Recording&) -> Vars {
    return {flip(in[0], at(s, 0))};
  });
  kinds.push_back({.name = "select",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const int x = g.any_real(1);
                         const int64_t axis = g.below(g.rank(x));
                         const int64_t n = g.shape(x)[static_cast<int>(axis)];
                         if (n == 0) return false;
                         // Several of its indices, as a recurrence reads them.
                         for (int64_t i = g.between(1, 3); i > 0; --i) {
                           g.emit("select", {x}, {axis, g.between(-n, n - 1)});
                         }
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {select(in[0], at(s, 0), s.p[1])};
                   }});
  kinds.push_back({.name = "squeeze",
                   .weight = 0.5,
                   .choose =
                       [](Generator& g) {
                         const int x = g.find([&](const ValueInfo& v) {
                           const auto& s = v.shape;
                           return v.dtype == g.real() &&
                                  std::find(s.begin(), s.end(), 1) != s.end();
                         });
                         if (x < 0) return false;
                         const Shape s = g.shape(x);
                         g.emit("squeeze", {x}, {std::find(s.begin(), s.end(), 1) - s.begin()});
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {squeeze(in[0], at(s, 0))};
                   }});
  kinds.push_back({.name = "broadcast_to",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const Shape to = g.shape(g.any_real());
                         std::vector<int64_t> dims(to.begin(), to.end());
                         if (dims.size() < 4 && g.chance(0.3)) dims.insert(dims.begin(), g.dim());
                         g.emit("broadcast_to", {g.broadcasting_to(to)}, dims);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {broadcast_to(in[0], shape_of(s, 0))};
                   },
                   .text = "broadcast_to($0, {#*})"});
}

void add_pieces(std::vector<Kind>& kinds) {
  kinds.push_back({.name = "split",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const int x = g.any_real(1);
                         const int64_t axis = g.below(g.rank(x));
                         const int64_t n = g.shape(x)[static_cast<int>(axis)];
                         const int64_t first = g.below(n + 1), second = g.below(n - first + 1);
                         g.emit("split", {x}, {axis, first, second, n - first - second});
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return split(in[0], {s.p[1], s.p[2], s.p[3]}, at(s, 0));
                   },
                   .text = "split($0, {#1*}, #0)"});
  kinds.push_back({.name = "concat",
                   .weight = 2,
                   .choose =
                       [](Generator& g) {
                         const int x = g.any_real(1);
                         const int axis = static_cast<int>(g.below(g.rank(x)));
                         std::vector<int> in{x};
                         double bound = g.bound(x);
                         for (int64_t i = g.between(1, 3); i > 0; --i) {
                           Shape shape = g.shape(x);
                           if (g.chance(0.4)) shape[axis] = g.dim();
                           const int y = g.of_shape(shape, 40);
                           bound = std::max(bound, g.bound(y));
                           in.insert(g.chance(0.5) ? in.begin() : in.end(), y);
                         }
                         g.emit("concat", in, {axis}, bound);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {concat(std::span(in), at(s, 0))};
                   },
                   .text = "concat({$*}, #0)"});
  kinds.push_back({.name = "stack",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const int x = g.any_real();
                         std::vector<int> in{x};
                         for (int64_t i = g.between(1, 2); i > 0; --i) {
                           in.push_back(g.of_shape(g.shape(x), 40));
                         }
                         g.emit("stack", in, {g.below(g.rank(x) + 1)});
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {stack(std::span(in), at(s, 0))};
                   },
                   .text = "stack({$*}, #0)"});
}

bool choose_gather(Generator& g, const std::string& name) {
  const int x = g.any_real(1);
  const int axis = static_cast<int>(g.below(g.rank(x)));
  if (g.shape(x).size() == 0) return false;
  Shape shape = g.shape(x);
  for (int i = 0; i < shape.rank(); ++i) {
    if (i != axis && g.chance(0.3)) shape[i] = 1 + g.below(shape[i]);
  }
  shape[axis] = g.dim();
  const int index = g.whole(shape, 0, g.shape(x)[axis]);
  if (name == "gather") {
    g.emit(name, {x, index}, {axis});
  } else {
    const int source = g.of_shape(shape);
    g.emit(name, {x, index, source}, {axis}, std::max(g.bound(x), g.bound(source)) + 3);
  }
  return true;
}

void add_indices(std::vector<Kind>& kinds) {
  kinds.push_back({.name = "gather",
                   .weight = 1,
                   .choose = [](Generator& g) { return choose_gather(g, "gather"); },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {gather(in[0], at(s, 0), in[1])};
                   },
                   .text = "gather($0, #0, $1)"});
  kinds.push_back({.name = "scatter_add",
                   .weight = 1,
                   .choose = [](Generator& g) { return choose_gather(g, "scatter_add"); },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {scatter_add(in[0], at(s, 0), in[1], in[2])};
                   },
                   .text = "scatter_add($0, #0, $1, $2)"});
  kinds.push_back({.name = "take",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const int x = g.any_real(1);
                         const int axis = static_cast<int>(g.below(g.rank(x)));
                         if (g.shape(x).size() == 0 || g.rank(x) > 4) return false;
                         const Shape shape = g.chance(0.5) ? Shape{g.dim()} : Shape{g.dim(), 2};
                         g.emit("take", {x, g.whole(shape, 0, g.shape(x)[axis])}, {axis});
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {take(in[0], in[1], at(s, 0))};
                   }});
  kinds.push_back({.name = "trap",  // throws while step #0 runs
                   .weight = 0,
                   .apply = [](const Statement& s, const Vars& in, const Recording& r) -> Vars {
                     const Tensor index = tensor<int32_t>({s.p[0] == r.step ? -1 : 0});
                     return {take(reshape(in[0], {-1}), index, 0)};
                   },
                   .text = "take(reshape($0, {-1}), step == #0 ? -1 : 0, 0)"});
  kinds.push_back(
      {.name = "embedding",
       .weight = 1,
       .choose =
           [](Generator& g) {
             const int64_t rows = g.dim();
             const int table = g.weight({rows, g.dim()});
             g.emit("embedding", {g.whole({g.dim(), g.dim()}, 0, rows), table}, {}, g.bound(table));
             return true;
           },
       .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
         return {embedding(in[0], in[1])};
       }});
  kinds.push_back({.name = "one_hot",
                   .weight = 0.5,
                   .choose =
                       [](Generator& g) {
                         const int64_t depth = g.dim();
                         g.emit("one_hot", {g.whole({g.dim()}, -1, depth + 1)},
                                {depth, static_cast<int64_t>(g.real())}, 0);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {one_hot(in[0], s.p[0], static_cast<DType>(s.p[1]))};
                   },
                   .text = "one_hot($0, #0, DType(#1))"});
  kinds.push_back({.name = "element",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const int x = g.any_real(1);
                         if (g.rank(x) > 3 || g.shape(x).size() == 0) return false;
                         std::vector<int> in{x};
                         const Shape shape{g.dim(), g.dim()};
                         for (int axis = 0; axis < g.rank(x); ++axis) {
                           in.push_back(g.chance(0.5) ? g.whole(shape, -1, g.shape(x)[axis] + 1)
                                                      : g.of_shape({shape[1]}, 4));
                         }
                         g.emit("element", in, {}, g.bound(x));
                         return true;
                       },
                   .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
                     const std::vector<Arg> index(in.begin() + 1, in.end());
                     return {element(in[0], std::span(index))};
                   },
                   .text = "element(/*array, indices*/ $*)"});
  kinds.push_back({.name = "top_k",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const int x = g.any_real(1);
                         g.emit("top_k", {x}, {g.between(0, g.shape(x)[-1])}, g.bound(x));
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     const Var values = top_k(in[0], s.p[0]);
                     return {values, values.output(1)};
                   },
                   .text = "top_k($0, #0), .output(1)"});
  kinds.push_back({.name = "draw",
                   .weight = 0.5,
                   .choose =
                       [](Generator& g) {
                         const int x = g.any_real(1);
                         if (g.shape(x)[-1] == 0) return false;
                         // Positive for any x. A masked log_softmax gives -inf, and a difference of
                         // those may be NaN.
                         const int large = g.emit("greater_number", {x}, {5}, 0);
                         const int unit =
                             g.emit("cast", {large}, {static_cast<int64_t>(g.real())}, 0);
                         const int weights = g.emit("within", {unit}, {50, 1000, 1000}, 0);
                         std::vector<int64_t> dims = g.dims(x);
                         dims.pop_back();
                         g.emit("draw", {weights, g.leaf(Shape(dims), DType::float64, 0, 1)},
                                {g.one_of({10, 10, 5})}, 4);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {draw(in[0], in[1], static_cast<double>(s.p[0]) / 10)};
                   },
                   .text = "draw($0, $1, #0 * 0.1)"});
}

}  // namespace

void add_shape_kinds(std::vector<Kind>& kinds) {
  add_views(kinds);
  add_pieces(kinds);
  add_indices(kinds);
}

}  // namespace rapt::programs
