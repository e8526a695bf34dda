// Leaves, and elementwise operators.
#include <cmath>
#include <limits>

#include "ops/elementwise/dropout.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/shape/gather.hpp"
#include "ops/shape/index.hpp"
#include "tests/random_programs/generator.hpp"

namespace rapt::programs {
namespace {

double in_thousands(int64_t word) { return static_cast<double>(word) / 1000; }

Kind unary(const std::string& name, Var (*function)(const Arg&), double most, double grows,
           double weight = 0.5) {
  return {.name = name,
          .weight = weight,
          .choose =
              [name, most, grows](Generator& g) {
                const int x = g.tame(g.any_real(), most);
                g.emit(name, {x}, {}, g.bound(x) + grows);
                return true;
              },
          .apply = [function](const Statement&, const Vars& in, const Recording&) -> Vars {
            return {function(in[0])};
          }};
}

/// A function of positive numbers: its operand is x^2 + 0.5.
Kind positive(const std::string& name, Var (*function)(const Arg&)) {
  Kind kind = unary(name, function, 0, 0);
  kind.choose = [name](Generator& g) {
    const int square = g.emit("square", {g.tame(g.any_real(), 5)}, {}, 10);
    g.emit(name, {g.emit("add_number", {square}, {5}, 11)}, {}, 6);
    return true;
  };
  return kind;
}

Kind binary(const std::string& name, Var (*function)(const Arg&, const Arg&), double weight = 0.5) {
  return {.name = name,
          .weight = weight,
          .choose =
              [name](Generator& g) {
                int a = g.tame(g.any_real(), 10);
                int b = g.chance(0.6) ? g.of_shape(g.shape(a)) : g.broadcasting_to(g.shape(a));
                b = g.tame(b, 10);
                if (name == "div" || name == "pow") b = g.emit("square", {g.tame(b, 2)}, {}, 4);
                if (name == "div") b = g.emit("add_number", {b}, {8}, 4);
                if (name == "pow") {
                  a = g.emit("add_number", {g.emit("square", {g.tame(a, 1)}, {}, 2)}, {5}, 2);
                }
                if (g.chance(0.3) && name != "pow" && name != "div") std::swap(a, b);
                const bool product = name == "mul" || name == "div" || name == "pow";
                g.emit(
                    name, {a, b}, {},
                    product ? g.bound(a) + g.bound(b) + 1 : std::max(g.bound(a), g.bound(b)) + 1);
                return true;
              },
          .apply = [function](const Statement&, const Vars& in, const Recording&) -> Vars {
            return {function(in[0], in[1])};
          }};
}

Kind comparison(const std::string& name, Var (*function)(const Arg&, const Arg&)) {
  Kind kind = binary(name, function, 0.25);
  kind.choose = [name](Generator& g) {
    const int a = g.any_real();
    g.emit(name, {a, g.chance(0.7) ? g.of_shape(g.shape(a), 100) : g.broadcasting_to(g.shape(a))},
           {}, 0);
    return true;
  };
  return kind;
}

Kind logic(const std::string& name, Var (*function)(const Arg&, const Arg&)) {
  Kind kind = binary(name, function, 0.25);
  kind.choose = [name](Generator& g) {
    const int like = g.any_real();
    g.emit(name, {g.boolean(g.shape(like)), g.boolean(g.shape(like))}, {}, 0);
    return true;
  };
  return kind;
}

void add_conditions(std::vector<Kind>& kinds) {
  kinds.push_back({.name = "logical_not",
                   .weight = 0.3,
                   .choose =
                       [](Generator& g) {
                         g.emit("logical_not", {g.boolean(g.shape(g.any_real()))}, {}, 0);
                         return true;
                       },
                   .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
                     return {logical_not(in[0])};
                   }});
  kinds.push_back({.name = "where",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const int a = g.any_real();
                         const int b = g.chance(0.7) ? g.of_shape(g.shape(a), 100)
                                                     : g.broadcasting_to(g.shape(a));
                         g.emit("where", {g.boolean(g.shape(a)), a, b});
                         return true;
                       },
                   .apply = [](const Statement&, const Vars& in, const Recording&) -> Vars {
                     return {where(in[0], in[1], in[2])};
                   }});
  kinds.push_back(
      {.name = "clamp",
       .weight = 1,
       .choose =
           [](Generator& g) {
             const int x = g.any_real();
             g.emit("clamp", {x}, {-g.below(20), g.below(20)}, 1);
             return true;
           },
       .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
         return {clamp(in[0], static_cast<double>(s.p[0]) / 10, static_cast<double>(s.p[1]) / 10)};
       },
       .text = "clamp($0, #0 * 0.1, #1 * 0.1)"});
  kinds.push_back({.name = "cast",
                   .weight = 0.7,
                   .choose =
                       [](Generator& g) {
                         const int x = g.tame(g.any_real(), 10);
                         const int other = g.real() == DType::float32 ? 1 : 0;
                         const int to = g.chance(0.6) ? other : g.one_of({0, 1, 2, 3});
                         const int there = g.emit("cast", {x}, {to});
                         if (to == 3 && g.chance(0.3)) return true;
                         // An operation in the other type, and back.
                         const int more = to == 3 ? there : g.emit("add", {there, there}, {}, 12);
                         g.emit("cast", {more}, {static_cast<int64_t>(g.real())});
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {cast(in[0], static_cast<DType>(s.p[0]))};
                   },
                   .text = "cast($0, DType(#0))"});
  kinds.push_back({.name = "whole",  // integers in [#0, #1]; NaN gives #0
                   .weight = 0,
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     const Var x = floor(in[0]);
                     const Var kept = where(x >= s.p[0], minimum(x, s.p[1]), s.p[0]);
                     return {cast(kept, DType::int32)};
                   },
                   .text = "whole($0, /*least, most*/ #*)"});
  kinds.push_back({.name = "within",  // maps any numbers into [low, high)
                   .weight = 0,
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     const double unit = s.p.size() > 2 ? static_cast<double>(s.p[2]) : 1;
                     const double low = static_cast<double>(s.p[0]) / unit;
                     const double range = static_cast<double>(s.p[1]) / unit - low;
                     return {sigmoid(in[0]) * (range * 0.999) + low};
                   },
                   .text = "within($0, /*low, high, unit*/ #*)"});
}

void add_whole_numbers(std::vector<Kind>& kinds) {
  struct Named {
    const char* name;
    Var (*function)(const Arg&, const Arg&);
  };
  static const std::vector<Named> functions{{"add", add},         {"sub", sub},
                                            {"mul", mul},         {"maximum", maximum},
                                            {"minimum", minimum}, {"div", div}};
  kinds.push_back({.name = "whole_numbers",  // int32 arithmetic, beyond the range too
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         const Shape shape = g.shape(g.any_real());
                         const int64_t most =
                             g.chance(0.3) ? std::numeric_limits<int32_t>::max() : 20;
                         const int64_t function = g.below(6);
                         const bool division = function == 5;
                         const int a = g.whole(shape, -most, most);
                         const int b = g.whole(shape, division ? 1 : -most, division ? 9 : most);
                         const double bound = most == 20 ? 9 : 31;
                         g.emit("whole_numbers", {a, b}, {function}, bound);
                         if (g.chance(0.5)) {
                           g.emit("cast", {g.output(0)}, {int64_t(g.real())}, bound);
                         }
                         return true;
                       },
                   .apply = [](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {functions[static_cast<size_t>(s.p[0])].function(in[0], in[1])};
                   },
                   .text = "/*add sub mul maximum minimum div*/ int32_op_#0($0, $1)"});
}

}  // namespace

Tensor leaf_tensor(const Statement& s, int step) {
  const auto type = static_cast<DType>(s.p[0]);
  const double low = in_thousands(s.p[1]), high = in_thousands(s.p[2]);
  const Shape shape(std::span(s.p).subspan(5));
  const Key key = Key{77}.fold(static_cast<uint64_t>(s.p[4])).fold(static_cast<uint64_t>(step));
  const auto values_of = [&](const Shape& dims) {
    if (is_float(type)) return uniform(key, dims, low, high, type);
    const Tensor real = uniform(key, dims, low, high, DType::float64);
    for (double& value : real.data<double>()) value = std::floor(value);
    return real.to(type);
  };
  if (s.p[3] == 0) return values_of(shape);
  // The last two axes are swapped in memory.
  Shape swapped = shape;
  std::swap(swapped[-1], swapped[-2]);
  const Tensor stored = values_of(swapped);
  Strides strides = stored.strides();
  std::swap(strides[static_cast<size_t>(shape.rank() - 1)],
            strides[static_cast<size_t>(shape.rank() - 2)]);
  return Tensor(stored.memory(), stored.bytes(), type, shape, strides);
}

void add_leaf_kinds(std::vector<Kind>& kinds) {
  const auto nothing = [](const Statement&, const Vars&, const Recording&) -> Vars { return {}; };
  kinds.push_back({.name = "look", .apply = nothing});
  kinds.push_back({.name = "accumulate", .apply = nothing});
  kinds.push_back({.name = "step", .apply = nothing});
  kinds.push_back(
      {.name = "input", .apply = [](const Statement& s, const Vars&, const Recording& r) -> Vars {
         return {as_var(leaf_tensor(s, r.step))};
       }});
  kinds.push_back({.name = "parameter",
                   .apply = [](const Statement& s, const Vars&, const Recording& r) -> Vars {
                     return {as_var(r.parameter_of(s))};
                   }});
}

void add_elementwise_kinds(std::vector<Kind>& kinds) {
  for (const auto& [name, function] :
       std::vector<std::pair<const char*, Var (*)(const Arg&)>>{{"neg", neg},
                                                                {"abs", abs},
                                                                {"sin", sin},
                                                                {"cos", cos},
                                                                {"tanh", tanh},
                                                                {"erf", erf},
                                                                {"sigmoid", sigmoid},
                                                                {"relu", relu},
                                                                {"gelu", gelu},
                                                                {"silu", silu},
                                                                {"softplus", softplus},
                                                                {"sign", sign},
                                                                {"floor", floor},
                                                                {"ceil", ceil}}) {
    kinds.push_back(unary(name, function, 30, 0));
  }
  kinds.push_back(unary("exp", exp, 2, 3));
  kinds.push_back(unary("expm1", expm1, 2, 3));
  kinds.push_back(unary("square", square, 6, 6));
  kinds.push_back(positive("log", log));
  kinds.push_back(positive("log1p", log1p));
  kinds.push_back(positive("sqrt", sqrt));
  kinds.push_back(positive("rsqrt", rsqrt));
  kinds.push_back(positive("reciprocal", reciprocal));
  for (const auto& [name, function] :
       std::vector<std::pair<const char*, Var (*)(const Arg&, const Arg&)>>{{"add", add},
                                                                            {"sub", sub},
                                                                            {"mul", mul},
                                                                            {"div", div},
                                                                            {"pow", pow},
                                                                            {"minimum", minimum},
                                                                            {"maximum", maximum}}) {
    kinds.push_back(binary(name, function));
  }
  for (const auto& [name, function] :
       std::vector<std::pair<const char*, Var (*)(const Arg&, const Arg&)>>{
           {"eq", eq}, {"ne", ne}, {"lt", lt}, {"le", le}, {"gt", gt}, {"ge", ge}}) {
    kinds.push_back(comparison(name, function));
  }
  kinds.push_back(logic("logical_and", logical_and));
  kinds.push_back(logic("logical_or", logical_or));
  const auto number = [](const Statement& s) { return static_cast<double>(s.p[0]) / 10; };
  kinds.push_back({.name = "mul_number",
                   .weight = 0,
                   .apply = [number](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {in[0] * number(s)};
                   },
                   .text = "$0 * (#0 * 0.1)"});
  kinds.push_back({.name = "add_number",
                   .weight = 0,
                   .apply = [number](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {in[0] + number(s)};
                   },
                   .text = "$0 + #0 * 0.1"});
  kinds.push_back({.name = "greater_number",
                   .weight = 0,
                   .apply = [number](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {in[0] > number(s)};
                   },
                   .text = "$0 > #0 * 0.1"});
  kinds.push_back({.name = "dropout",
                   .weight = 1,
                   .choose =
                       [](Generator& g) {
                         if (!g.is_training()) return false;
                         const int x = g.any_real();
                         g.emit("dropout", {x}, {g.between(1, 9)}, g.bound(x) + 3);
                         return true;
                       },
                   .apply = [number](const Statement& s, const Vars& in, const Recording&) -> Vars {
                     return {dropout(in[0], number(s))};
                   },
                   .text = "dropout($0, #0 * 0.1)"});
  add_conditions(kinds);
  add_whole_numbers(kinds);
}

}  // namespace rapt::programs
