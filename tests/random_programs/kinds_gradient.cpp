// Derivatives, and the rows of the operator table.
#include <algorithm>
#include <cmath>

#include "ops/autodiff/grad.hpp"
#include "ops/reduce/reduce.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/random_programs/generator.hpp"

namespace rapt::programs {
namespace {

/// Chooses values to differentiate by, mostly ones that `value` depends on.
std::vector<int> roots(Generator& g, int value) {
  std::vector<int> list;
  const std::vector<int> before = g.ancestors(value);
  for (int64_t i = g.between(1, 4); i > 0; --i) {
    const int root =
        before.empty() || g.chance(0.1) ? static_cast<int>(g.below(value)) : g.one_of(before);
    if (g.dtype(root) != g.real()) continue;
    if (std::find(list.begin(), list.end(), root) == list.end()) list.push_back(root);
  }
  if (list.empty()) list.push_back(0);
  return list;
}

}  // namespace

void add_gradient_kinds(std::vector<Kind>& kinds) {
  kinds.push_back({.name = "grad",
                   .weight = 4,
                   .choose =
                       [](Generator& g) {
                         const int y = g.any_real();
                         if (y == 0 || ++g.grads > 5) return false;
                         std::vector<int> in{y};
                         for (const int root : roots(g, y)) in.push_back(root);
                         g.emit("grad", in, {}, 16);
                         return true;
                       },
                   .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
                     return grad(in[0].rank() == 0 ? in[0] : sum(in[0]), std::span(in).subspan(1));
                   },
                   .text = "grad(sum($0), {$1*})"});
  kinds.push_back({.name = "vjp",  // of one or two outputs, followed by their seeds
                   .weight = 1.5,
                   .choose =
                       [](Generator& g) {
                         const int y = g.any_real();
                         if (y == 0 || ++g.grads > 5) return false;
                         const int seed = g.tame(g.of_shape(g.shape(y)), 4);
                         std::vector<int> in{y, seed};
                         for (const int root : roots(g, y)) in.push_back(root);
                         g.emit("vjp", in, {1}, 16);
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     const auto n = static_cast<size_t>(s.p[0]);
                     const std::span<const Var> all(in);
                     return vjp(all.first(n), all.subspan(n, n), all.subspan(2 * n));
                   },
                   .text = "vjp({$0}, {$1}, {$2*})"});
}

void add_table_kinds(std::vector<Kind>& kinds) {
  for (const test::Row& row : test::all_rows()) {
    // These rows request values during recording; the kind `cached_attention` does not.
    if (row.name.starts_with("cached_attention")) continue;
    int64_t elements = 0;
    for (const test::Input& input : row.inputs) elements += input.shape.size();
    if (elements > 2500) continue;
    kinds.push_back({.name = "row: " + row.name,
                     .weight = 0.02,
                     .choose =
                         [row, name = "row: " + row.name](Generator& g) {
                           std::vector<int> in;
                           for (const test::Input& input : row.inputs) {
                             in.push_back(
                                 g.within(input.shape, input.dtype, input.low, input.high));
                           }
                           g.emit(name, in, {}, 12);
                           return true;
                         },
                     .apply = [row](const Statement&, const Vars& in, const Recording&) -> Vars {
                       return {row.apply(in)};
                     },
                     .text = "row(\"" + row.name + "\")($*)"});
  }
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = [] {
    std::vector<Kind> list;
    add_leaf_kinds(list);
    add_elementwise_kinds(list);
    add_shape_kinds(list);
    add_reduce_kinds(list);
    add_row_kinds(list);
    add_product_kinds(list);
    add_sequence_kinds(list);
    add_attention_kinds(list);
    add_gradient_kinds(list);
    add_table_kinds(list);
    return list;
  }();
  return all;
}

const Kind& kind(const std::string& name) {
  for (const Kind& k : kinds()) {
    if (k.name == name) return k;
  }
  throw std::logic_error("no kind " + name);
}

bool is_role(const Statement& s) {
  return s.kind->name == "look" || s.kind->name == "accumulate" || s.kind->name == "step";
}

}  // namespace rapt::programs
