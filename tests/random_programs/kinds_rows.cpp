// Reductions, and operators on whole rows: softmax, norms, losses.
#include <cmath>

#include "ops/reduce/reduce.hpp"
#include "ops/rows/loss.hpp"
#include "ops/rows/norm.hpp"
#include "ops/rows/softmax.hpp"
#include "optim/clip.hpp"
#include "tests/random_programs/generator.hpp"

namespace rapt::programs {
namespace {

using Reduction1 = Var (*)(const Arg&, const Axes&, bool);

/// Attributes: number of axes (0: all), the axes, and keepdims.
Axes axes_of(const Statement& s) {
  if (s.p[0] == 0) return Axes::all();
  const std::vector<int> axes(s.p.begin() + 1, s.p.begin() + 1 + s.p[0]);
  return Axes(std::span(axes));
}

std::vector<int64_t> some_axes(Generator& g, int x) {
  std::vector<int64_t> p{0};
  for (int axis = 0; axis < g.rank(x) && !g.chance(0.15); ++axis) {
    if (!g.chance(0.5)) continue;
    p.push_back(g.chance(0.3) ? axis - g.rank(x) : axis);
    ++p[0];
  }
  p.push_back(g.below(2));
  return p;
}

Kind reduction(const std::string& name, Reduction1 function, bool of_booleans = false,
               bool grows = false) {
  return {.name = name,
          .weight = 0.7,
          .choose =
              [=](Generator& g) {
                int x = g.tame(g.any_real(), 30);
                const bool picks = name == "max" || name == "min";
                if (picks && g.shape(x).size() == 0) return false;
                const double bound =
                    g.bound(x) +
                    (grows ? std::log2(static_cast<double>(g.shape(x).size()) + 1) : 0);
                if (of_booleans) x = g.boolean(g.shape(x));
                const int y = g.emit(name, {x}, some_axes(g, x), bound);
                // Broadcasts back over the reduced axes, as norms do.
                if (!of_booleans && g.chance(0.4) && g.rank(y) == g.rank(x)) {
                  g.emit("sub", {x, y}, {}, bound + 1);
                }
                return true;
              },
          .apply = [function](const Statement& s, const Vars& in, const Recording&) -> Vars {
            return {function(in[0], axes_of(s), s.p.back() != 0)};
          },
          .text = name + "($0, /*count, axes, keepdims*/ #*)"};
}

/// Returns a mask that broadcasts to the shape.
int a_mask(Generator& g, const Shape& shape) {
  Shape mask = shape;
  for (int axis = 0; axis < mask.rank(); ++axis) {
    if (g.chance(0.25)) mask[axis] = 1;
  }
  return g.boolean(mask);
}

Kind softmax_kind(const std::string& name, Var (*function)(const Arg&, const SoftmaxOptions&)) {
  return {.name = name,
          .weight = 1,
          .choose =
              [name](Generator& g) {
                const int x = g.any_real(1);
                std::vector<int> in{x};
                if (g.chance(0.5)) in.push_back(a_mask(g, g.shape(x)));
                g.emit(name, in, {g.between(-g.rank(x), g.rank(x) - 1)},
                       name == "softmax" ? 0 : g.bound(x) + 1);
                return true;
              },
          .apply = [function](const Statement& s, const Vars& in, const Recording&) -> Vars {
            return {function(
                in[0], {.axis = static_cast<int>(s.p[0]), .mask = in.size() > 1 ? in[1] : Var()})};
          },
          .text = name + "(/*x, mask*/ $*, /*axis*/ #0)"};
}

void add_losses(std::vector<Kind>& kinds) {
  kinds.push_back(
      {.name = "cross_entropy",
       .weight = 1,
       .choose =
           [](Generator& g) {
             const int x = g.tame(g.any_real(1), 8);
             const int64_t classes = g.shape(x)[-1];
             if (classes == 0) return false;
             std::vector<int64_t> dims = g.dims(x);
             dims.pop_back();
             std::vector<int> in{x, g.whole(Shape(dims), 0, classes)};
             if (g.chance(0.3)) in.push_back(g.leaf({classes}, g.real(), 0.1, 2));
             const int64_t ignore = g.chance(0.3) ? 0 : -100;
             g.emit("cross_entropy", in, {g.below(3), g.below(2) * g.below(5), ignore}, 8);
             return true;
           },
       .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         return {cross_entropy(in[0], in[1],
                               {.ignore = static_cast<int32_t>(s.p[2]),
                                .label_smoothing = static_cast<double>(s.p[1]) / 10,
                                .weight = in.size() > 2 ? in[2] : Var(),
                                .reduction = static_cast<Reduction>(s.p[0])})};
       },
       .text = "cross_entropy(/*logits, labels, weight*/ $*, "
               "/*reduction, tenths of smoothing, ignore*/ #*)"});
  kinds.push_back({.name = "mse_loss",
                   .weight = 0.7,
                   .choose =
                       [](Generator& g) {
                         const int x = g.tame(g.any_real(), 8);
                         g.emit("mse_loss", {x, g.of_shape(g.shape(x), 8)}, {g.below(3)}, 18);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {mse_loss(in[0], in[1], static_cast<Reduction>(s.p[0]))};
                   },
                   .text = "mse_loss($*, Reduction(#0))"});
  kinds.push_back(
      {.name = "binary_cross_entropy_with_logits",
       .weight = 0.7,
       .choose =
           [](Generator& g) {
             const int x = g.tame(g.any_real(), 8);
             const int target = g.within(g.shape(x), g.real(), 0, 1);
             g.emit("binary_cross_entropy_with_logits", {x, target}, {g.below(3)}, 14);
             return true;
           },
       .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         return {binary_cross_entropy_with_logits(in[0], in[1], static_cast<Reduction>(s.p[0]))};
       },
       .text = "binary_cross_entropy_with_logits($*, Reduction(#0))"});
}

}  // namespace

void add_reduce_kinds(std::vector<Kind>& kinds) {
  kinds.push_back(reduction("sum", sum, false, true));
  kinds.push_back(reduction("mean", mean));
  kinds.push_back(reduction("max", max));
  kinds.push_back(reduction("min", min));
  kinds.push_back(reduction("logsumexp", logsumexp));
  kinds.push_back(reduction("any", any, true));
  kinds.push_back(reduction("all", all, true));
  kinds.push_back({.name = "argmax",
                   .weight = 0.7,
                   .choose =
                       [](Generator& g) {
                         const int x = g.any_real(1);
                         if (g.shape(x).size() == 0) return false;
                         g.emit("argmax", {x}, {g.below(g.rank(x)), g.below(2)}, 4);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {argmax(in[0], static_cast<int>(s.p[0]), s.p[1] != 0)};
                   }});
  kinds.push_back({.name = "cumsum",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const int x = g.tame(g.any_real(1), 10);
                         g.emit("cumsum", {x}, {g.below(g.rank(x)), g.below(2)}, g.bound(x) + 4);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {cumsum(in[0], static_cast<int>(s.p[0]), s.p[1] != 0)};
                   }});
  kinds.push_back({.name = "sum_to",
                   .weight = 0.7,
                   .choose =
                       [](Generator& g) {
                         const int x = g.tame(g.any_real(), 10);
                         std::vector<int64_t> dims = g.dims(x);
                         for (int64_t& dim : dims) dim = g.chance(0.5) ? 1 : dim;
                         dims.erase(dims.begin(), dims.begin() + g.below(g.rank(x) + 1));
                         g.emit("sum_to", {x}, dims, 16);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {sum_to(in[0], Shape(std::span(s.p)))};
                   },
                   .text = "sum_to($0, {#*})"});
  kinds.push_back({.name = "global_norm",
                   .weight = 0.3,
                   .choose =
                       [](Generator& g) {
                         std::vector<int> in;
                         for (int64_t i = g.between(1, 3); i > 0; --i) {
                           in.push_back(g.tame(g.any_real(), 10));
                         }
                         const int norm = g.emit("global_norm", in, {}, 14);
                         g.emit("cast", {norm}, {int64_t(g.real())}, 14);
                         return true;
                       },
                   .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
                     return {global_norm(std::span(in))};
                   },
                   .text = "global_norm({$*})"});
}

void add_row_kinds(std::vector<Kind>& kinds) {
  kinds.push_back(softmax_kind("softmax", softmax));
  kinds.push_back(softmax_kind("log_softmax", log_softmax));
  kinds.push_back({.name = "masked",  // -inf is only for a softmax
                   .weight = 0.5,
                   .choose =
                       [](Generator& g) {
                         const int x = g.any_real(1);
                         const int scores = g.emit("masked", {x, a_mask(g, g.shape(x))});
                         g.emit("softmax", {scores}, {g.rank(x) - 1}, 0);
                         return true;
                       },
                   .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
                     return {masked(in[0], Arg(in[1]))};
                   }});
  kinds.push_back({.name = "layer_norm",
                   .weight = 2,
                   .choose =
                       [](Generator& g) {
                         const int x = g.tame(g.any_real(1), 12);
                         const int64_t width = g.shape(x)[-1];
                         const int weight = g.weight({width});
                         g.emit("layer_norm", {x, weight, g.weight({width})}, {}, 6);
                         return true;
                       },
                   .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
                     return {layer_norm(in[0], in[1], in[2])};
                   }});
  kinds.push_back({.name = "rms_norm",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const int x = g.tame(g.any_real(1), 12);
                         g.emit("rms_norm", {x, g.weight({g.shape(x)[-1]})}, {}, 6);
                         return true;
                       },
                   .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
                     return {rms_norm(in[0], in[1])};
                   }});
  add_losses(kinds);
}

}  // namespace rapt::programs
