// Differentiation: what flows where, what is refused, and second derivatives of whole networks.
#include <rapt/rapt.hpp>

#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("contributions of several uses add up") {
  Tape tape;
  const Var x = as_var(3.0);
  const Var y = x * x + 2 * x;
  CHECK(grad(y, {x})[0].item() == 8);
}

TEST_CASE("what was broadcast is summed back") {
  Tape tape;
  const Var row = as_var(tensor<float>({1, 2, 3})), all = as_var(full({4, 3}, 2));
  const auto g = grad(sum(row * all), {row, all});
  CHECK(g[0].value().to_vector<float>() == std::vector<float>{8, 8, 8});
  CHECK(g[1].shape() == Shape{4, 3});
}

TEST_CASE("what the loss does not depend on has a gradient of zeros") {
  Tape tape;
  const Var x = as_var(full({2, 2}, 1)), y = as_var(full({3}, 1));
  const auto g = grad(sum(x), {y, x});
  CHECK(g[0].value().to_vector<float>() == std::vector<float>{0, 0, 0});
  CHECK(g[1].value().to_vector<float>() == std::vector<float>{1, 1, 1, 1});
}

TEST_CASE("gradients of values in the middle, and through them") {
  Tape tape;
  const Var x = as_var(2.0);
  const Var h = x * x;
  const Var y = h * x;
  const auto g = grad(y, {x, h});
  CHECK(g[0].item() == 12);  // 3 x^2
  CHECK(g[1].item() == 2);   // x
}

TEST_CASE("no nodes are recorded for what nobody asks for") {
  Tape tape;
  const Var x = as_var(full({2}, 1)), w = as_var(full({2}, 2));
  const Var y = sum(exp(x) * w);
  const size_t before = tape.size();
  (void)grad(y, {w});
  const size_t for_w = tape.size() - before;
  (void)grad(y, {x});
  CHECK(for_w < tape.size() - before - for_w);
}

Var from_elsewhere;
const Op strange{.name = "strange",
                 .shape = [](ShapeContext& c) { return c.input(0); },
                 .gradient = [](GradientContext& c) { c.input_grad(0) = from_elsewhere; },
                 .cpu = {.forward = [](const ForwardContext&) {}}};

TEST_CASE("gradients from another tape are refused") {
  Tape outer;
  from_elsewhere = as_var(1.0);
  Tape inner;
  const Var x = as_var(2.0), y = x * x;
  CHECK_THROWS_WITH(vjp(std::span(&y, 1), std::span(&from_elsewhere, 1), std::span(&x, 1)),
                    Contains("the output and its seed are on different tapes"));
  CHECK_THROWS_WITH(grad(record(strange, {x}), {x}),
                    Contains("strange: its gradient rule gives a value of another tape"));
}

TEST_CASE("a loss has to be one float value") {
  Tape tape;
  const Var x = as_var(full({2}, 1));
  CHECK_THROWS_WITH(grad(x * 2, {x}), Contains("has to be one float value") && Contains("[2]"));
  CHECK_THROWS_WITH(grad(sum(x), {as_var(zeros({2}, DType::int32))}), Contains("int32"));
}

const Op opaque{.name = "opaque",
                .shape = [](ShapeContext& c) { return c.input(0); },
                .cpu = {.forward = [](const ForwardContext&) {}}};
const Op crooked{.name = "crooked",
                 .shape = [](ShapeContext& c) { return c.input(0); },
                 .gradient = [](GradientContext& c) { c.input_grad(0) = as_var(zeros({7})); },
                 .cpu = {.forward = [](const ForwardContext&) {}}};

TEST_CASE("operators without a rule, and rules with a wrong shape, are named") {
  Tape tape;
  const Var x = as_var(full({2}, 1));
  CHECK_THROWS_WITH(grad(sum(record(opaque, {x})), {x}),
                    Contains("opaque has no gradient rule") && Contains("grad_test.cpp:"));
  CHECK_THROWS_WITH(grad(sum(record(crooked, {x})), {x}),
                    Contains("crooked") && Contains("[7]") && Contains("input 0"));
}

// y = x^3, through its reference alone
const Op cube{
    .name = "cube",
    .shape = [](ShapeContext& c) { return c.input(0); },
    .reference = [](ReferenceContext& c) { c.output() = c.input(0) * c.input(0) * c.input(0); },
    .cpu = {.forward = [](const ForwardContext& c) {
      const auto* x = c.input(0).as<double>();
      auto* y = c.output().as<double>();
      for (int64_t i = 0; i < c.input(0).size(); ++i) y[i] = x[i] * x[i] * x[i];
    }}};
// A wrong rule: the derivative of x^2.
const Op wrong{
    .name = "wrong",
    .shape = [](ShapeContext& c) { return c.input(0); },
    .gradient = [](GradientContext& c) { c.input_grad(0) = c.output_grad() * c.input(0) * 2; },
    .cpu = {.forward = cube.cpu.forward}};

TEST_CASE("an operator without a rule is differentiated through its reference") {
  CHECK_NOTHROW(check_gradient(cube, shapes({{3, 5}})));
}

TEST_CASE("check_gradient finds a wrong rule, and says where") {
  CHECK_THROWS_WITH(check_gradient(wrong, shapes({{3, 5}})),
                    Contains("wrong") && Contains("order 1") && Contains("input 0 [3, 5]"));
}

// x itself, but no gradient passes.
const Op frozen{.name = "frozen",
                .shape = [](ShapeContext& c) { return c.input(0); },
                .gradient = [](GradientContext&) {},
                .cpu = {.forward = [](const ForwardContext& c) {
                  const auto* x = c.input(0).as<double>();
                  std::copy(x, x + c.input(0).size(), c.output().as<double>());
                }}};
// x^3 with a rule that is right, but does not say how it depends on x.
const Op first_only{.name = "first_only",
                    .shape = [](ShapeContext& c) { return c.input(0); },
                    .gradient =
                        [](GradientContext& c) {
                          c.input_grad(0) =
                              c.output_grad() * 3 * square(record(frozen, {c.input(0)}));
                        },
                    .cpu = {.forward = cube.cpu.forward}};

TEST_CASE("check_gradient goes to the second order") {
  CHECK_THROWS_WITH(check_gradient(first_only, shapes({{4}})), Contains("order 2"));
  CHECK_NOTHROW(check_gradient(first_only, shapes({{4}}), {}, {.second_order = false}));
}

TEST_CASE("shapes are drawn from letters") {
  const auto specs = shapes("B T D, D 4", Key{3});
  REQUIRE(specs.size() == 2);
  CHECK(specs[0].shape.rank() == 3);
  CHECK(specs[1].shape[0] == specs[0].shape[2]);
  CHECK(specs[1].shape[1] == 4);
  CHECK_THROWS_WITH(shapes("B; T", Key{3}), Contains("B; T"));
}

TEST_CASE("Hessian-vector products of a small network") {
  const auto network = [](std::span<const Var> v) {
    const Var h = tanh(linear(v[0], v[1], v[2]));
    const Var normal = layer_norm(h, v[3], v[4]);
    return softmax(matmul(normal, v[5]));
  };
  const std::vector<InputSpec> inputs = shapes({{3, 4}, {5, 4}, {5}, {5}, {5}, {5, 6}});
  CHECK_NOTHROW(check_gradient(network, inputs));
}

TEST_CASE("Hessian-vector products of softmax, layer_norm and attention") {
  const auto soft = [](std::span<const Var> v) { return softmax(v[0]); };
  CHECK_NOTHROW(check_gradient(soft, shapes({{3, 7}})));
  const auto norm = [](std::span<const Var> v) { return layer_norm(v[0], v[1], v[2]); };
  CHECK_NOTHROW(check_gradient(norm, shapes({{3, 7}, {7}, {7}})));
  const auto additive = [](std::span<const Var> v) {
    return additive_attention(v[0], v[1], v[2], v[3]);
  };
  CHECK_NOTHROW(check_gradient(additive, shapes({{2, 4}, {2, 3, 4}, {4}, {2, 3, 5}})));
}

TEST_CASE("many slices of one value become one write, many products with a weight one product") {
  Tape tape;
  const Var x = as_var(uniform(Key{1}, {40, 3, 8})), w = as_var(uniform(Key{2}, {8, 8}));
  Var loss = as_var(0.0);
  for (int t = 0; t < 40; ++t) loss = loss + sum(matmul(select(x, 0, t), w));
  const auto g = grad(loss, {x, w});
  const auto plan = Executor::current().plan(g);
  int products = 0;
  for (const auto& step : plan->steps) products += step.op->name == "matmul" ? 1 : 0;
  INFO(plan->to_string(tape.graph()));
  CHECK(products <= 41);  // one a slice for x, one for w
  const std::vector<float> gx = g[0].value().to_vector<float>();
  const std::vector<float> ws = w.value().to_vector<float>();
  for (int c = 0; c < 8; ++c) {
    float row = 0;
    for (int k = 0; k < 8; ++k) row += ws[static_cast<size_t>(c * 8 + k)];
    CHECK(gx[static_cast<size_t>(24 * 7 + c)] == Approx(row));
  }
}

}  // namespace
}  // namespace rapt
