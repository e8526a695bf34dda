// Optimizers against their formulas, written out in double precision for each step.
#include <array>
#include <cmath>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "optim/clip.hpp"
#include "optim/ema.hpp"
#include "optim/optimizer.hpp"
#include "optim/schedule.hpp"
#include "tests/support/catch.hpp"

using namespace rapt;
using Catch::Matchers::Contains;

namespace {

constexpr auto f64 = DType::float64;

Parameter parameter(std::initializer_list<double> values, const std::string& name = "p") {
  Parameter made(tensor<double>(values));
  made.state()->name = name;
  return made;
}

double at(const Parameter& p, size_t i = 0) { return p.value().data<double>()[i]; }

/// A loss with the gradient 2 w (p - target), elementwise.
Var distance(const Arg& p, double target, double w = 1) { return sum(square(p - target) * w); }

/// A two-layer network with enough elements for several tasks, and its data.
struct Network {
  Parameter a{uniform(Key{1}, {130, 300}, -0.1, 0.1)};
  Parameter b{uniform(Key{2}, {130}, -0.1, 0.1)};
  Tensor x = uniform(Key{3}, {130, 300}, -1, 1);

  Network() {
    a.state()->name = "a";
    b.state()->name = "b";
  }
  std::vector<Parameter> parameters() const { return {a, b}; }
  Var loss(double shift = 0) const {
    return sum(square(sum(tanh(a * x), Axes{1}) + b - (0.5 + shift)));
  }
  std::vector<float> values() const {
    std::vector<float> all = a.value().to_vector<float>();
    for (const float v : b.value().to_vector<float>()) all.push_back(v);
    return all;
  }
};

}  // namespace

TEST_CASE("sgd follows its formula") {
  const bool nesterov = GENERATE(false, true);
  const double momentum = GENERATE(0.0, 0.9);
  if (nesterov && momentum == 0) return;
  const Parameter p = parameter({3, -2});
  Sgd sgd({p}, {.lr = 0.1, .momentum = momentum, .nesterov = nesterov, .weight_decay = 0.02});
  double x = 3, u = 0;
  for (int step = 0; step < 5; ++step) {
    Tape tape;
    const Var loss = distance(p, 1);
    sgd.step(loss);
    const double g = 2 * (x - 1) + 0.02 * x;
    u = momentum * u + g;
    x -= 0.1 * (nesterov ? g + momentum * u : u);
    CHECK(at(p) == Approx(x).epsilon(1e-14));
  }
  CHECK(sgd.steps() == 5);
}

TEST_CASE("adam follows its formula, with L2 or decoupled decay") {
  const bool decoupled = GENERATE(false, true);
  const Parameter p = parameter({3, -2});
  const AdamOptions options{
      .lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.05};
  std::unique_ptr<Optimizer> adam;
  if (decoupled) {
    adam = std::make_unique<AdamW>(std::vector{p}, options);
  } else {
    adam = std::make_unique<Adam>(std::vector{p}, options);
  }
  std::array<double, 2> x{3, -2}, m{}, v{};
  for (int t = 1; t <= 6; ++t) {
    const double lr = 0.1 / t;
    adam->lr(lr);
    Tape tape;
    adam->step(distance(p, 1));
    for (size_t i = 0; i < 2; ++i) {
      double g = 2 * (x[i] - 1);
      if (decoupled) {
        x[i] *= 1 - lr * 0.05;
      } else {
        g += 0.05 * x[i];
      }
      m[i] = 0.8 * m[i] + 0.2 * g;
      v[i] = 0.95 * v[i] + 0.05 * g * g;
      const double mean = m[i] / (1 - std::pow(0.8, t));
      const double variance = v[i] / (1 - std::pow(0.95, t));
      x[i] -= lr * mean / (std::sqrt(variance) + 1e-3);
      CHECK(at(p, i) == Approx(x[i]).epsilon(1e-13));
    }
  }
}

TEST_CASE("a step computes the loss and what is asked for beside it, from the old parameters") {
  const Parameter p = parameter({3});
  Adam adam({p});
  Executor executor;
  const Executor::Use use(executor);
  Tape tape;
  const Var loss = distance(p, 1);
  const Var twice = p * 2;
  adam.step(loss, {twice});
  CHECK(executor.counters().runs == 1);
  CHECK(loss.item() == 4);
  CHECK(twice.item() == 6);
  CHECK(executor.counters().runs == 1);
  CHECK(at(p) == Approx(3 - 1e-3));
}

TEST_CASE("groups scale the learning rate and the weight decay") {
  const Parameter matrix(full({2, 2}, 2, f64)), bias(full({2}, 2, f64)), slow(full({}, 2, f64));
  std::vector<ParameterGroup> groups = decay_matrices_only({matrix, bias});
  groups.push_back({.parameters = {slow}, .lr_factor = 0.5, .decay_factor = 3});
  AdamW adam(groups, {.lr = 0.1, .weight_decay = 0.5});
  Tape tape;
  adam.step(sum(matrix * 0));
  CHECK(at(matrix, 3) == Approx(2 * (1 - 0.1 * 0.5)));
  CHECK(at(bias, 1) == 2);
  CHECK(at(slow) == Approx(2 * (1 - 0.05 * 1.5)));
}

TEST_CASE("the norm of all gradients is limited") {
  // The gradients are 3 and 4: their norm is 5.
  const double limit = GENERATE(2.0, 5.5, std::numeric_limits<double>::infinity(), 0.0);
  const Parameter p = parameter({0}), q = parameter({0}, "q");
  Sgd sgd(std::vector<ParameterGroup>{{{p}}, {{q}}}, {.lr = 1, .clip_norm = limit});
  Tape tape;
  sgd.step(sum(p * 3 + q * 4));
  const double factor = limit == 2.0 ? 2 / (5 + 1e-6) : 1;
  CHECK(at(p) == Approx(-3 * factor).epsilon(1e-14));
  CHECK(at(q) == Approx(-4 * factor).epsilon(1e-14));
  CHECK(sgd.last_norm() == Approx(limit == 0 ? 0 : 5).epsilon(1e-14));
}

TEST_CASE("global_norm takes arrays of any size and float type") {
  Tape tape;
  const Tensor a = uniform(Key{1}, {9, 16384}, -1, 1), b = uniform(Key{2}, {7}, -1, 1, f64);
  double total = 0;
  for (const double v : a.to_vector<double>()) total += v * v;
  for (const double v : b.to_vector<double>()) total += v * v;
  const std::vector<Var> arrays{as_var(a), as_var(b), as_var(zeros({0, 4}))};
  CHECK(global_norm(arrays).item() == Approx(std::sqrt(total)).epsilon(1e-7));
  CHECK_THROWS_WITH(global_norm(std::vector{as_var(tensor<int32_t>({1}))}), Contains("floats"));
}

TEST_CASE("finite gradients have a finite norm, however large or small") {
  const auto norm_of = [](const std::vector<Var>& arrays) { return global_norm(arrays).item(); };
  Tape tape;
  for (const double size : {1e-45, 1e-25, 1e-15, 1., 1e15, 1e25, 3e38}) {
    for (const int64_t n : {4, 5000, 40000}) {
      const double element = full({}, size).item();  // as a float holds it
      const double want = element * std::sqrt(static_cast<double>(n));
      CHECK(norm_of({as_var(full({n}, size))}) == Approx(want).epsilon(1e-6));
      // What is small in a float beside what is not, and beside zeros.
      CHECK(norm_of({as_var(full({n}, size)), as_var(zeros({30000}))}) ==
            Approx(want).epsilon(1e-6));
    }
  }
  // Sums of 16384 elements, one by one.
  for (const double size : {5e-324, 1e-300, 1e-200, 1e200, 1e307}) {
    for (const int64_t n : {4, 40000}) {
      const double want = size * std::sqrt(static_cast<double>(n));
      const Var array = as_var(full({n}, size, f64));
      CHECK(norm_of({array}) == Approx(want).epsilon(1e-12).margin(5e-324));
      CHECK(norm_of({as_var(zeros({3})), array, as_var(zeros({20000}, f64))}) ==
            Approx(want).epsilon(1e-12).margin(5e-324));
    }
  }
  CHECK(norm_of({as_var(full({4}, 1e200, f64)), as_var(full({2}, 1e30))}) == Approx(2e200));
  CHECK(norm_of({as_var(zeros({9})), as_var(zeros({9}, f64))}) == 0);
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(norm_of({as_var(full({3}, inf))}) == inf);
  CHECK(norm_of({as_var(full({3}, -inf, f64)), as_var(full({3}, 1e200, f64))}) == inf);
  CHECK(std::isnan(norm_of({as_var(full({3}, std::nan(""))), as_var(full({3}, 1.))})));
  CHECK(std::isnan(norm_of({as_var(full({3}, 1e200, f64)), as_var(full({3}, std::nan(""), f64))})));
}

TEST_CASE("a gradient as large as float holds is clipped, and the step taken") {
  for (const double size : {1e25, 3e38}) {
    Parameter w(full({1000}, 3));
    Sgd sgd(std::vector<Parameter>{w}, {.lr = 0.1, .clip_norm = 1});
    Tape tape;
    CHECK(sgd.step(sum((as_var(w) - 3) * as_var(full({1000}, size)))));
    CHECK(sgd.last_norm() == Approx(size * std::sqrt(1000.)).epsilon(1e-6));
    CHECK(w.value().to_vector<double>()[999] == Approx(3 - 0.1 / std::sqrt(1000.)).epsilon(1e-6));
  }
}

TEST_CASE("parts of a batch, accumulated, are the batch") {
  const double clip = GENERATE(0.0, 0.5);
  std::array<Parameter, 2> p{parameter({3, -1, 0.5}), parameter({3, -1, 0.5})};
  Adam whole({p[0]}, {.lr = 0.1, .clip_norm = clip}), parts({p[1]}, {.lr = 0.1, .clip_norm = clip});
  // Whole numbers and quarters: their sums are exact in any order.
  for (int step = 0; step < 3; ++step) {
    {
      Tape tape;
      whole.step((distance(p[0], 1) + distance(p[0], 2) + distance(p[0], 4, 2)) / 4);
    }
    for (const double target : {1.0, 2.0}) {
      Tape tape;
      const Var loss = distance(p[1], target) / 4;
      parts.accumulate(loss);
      CHECK(tape.graph().result(loss.id()) != nullptr);
    }
    Tape tape;
    parts.step(distance(p[1], 4, 2) / 4);
    for (size_t i = 0; i < 3; ++i) {
      // The order of the additions is the only difference.
      CHECK(at(p[0], i) == Approx(at(p[1], i)).epsilon(1e-14));
    }
    CHECK(whole.last_norm() == Approx(parts.last_norm()).epsilon(1e-14));
  }
  CHECK(parts.steps() == 3);
}

TEST_CASE("a new learning rate, limit of the norm or step needs no new plan") {
  const Network net;
  AdamW adam(decay_matrices_only(net.parameters()), {.weight_decay = 0.1, .clip_norm = 1});
  Executor executor;
  const Executor::Use use(executor);
  for (int step = 0; step < 10; ++step) {
    adam.lr(1e-3 * (step + 1));
    Tape tape;
    adam.step(net.loss(step));
    CHECK(executor.counters().plans_made == 1);
  }
  CHECK(executor.counters().runs == 10);
}

TEST_CASE("training gives the same bits on any number of threads") {
  const auto train = [](int threads) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    const Network net;
    AdamW adam(decay_matrices_only(net.parameters()), {.weight_decay = 0.1, .clip_norm = 1});
    Sgd sgd(net.parameters(), {.lr = 1e-3, .momentum = 0.9, .nesterov = true, .clip_norm = 1});
    ExponentialMovingAverage average(net.parameters(), 0.5);
    for (int step = 0; step < 3; ++step) {
      for (Optimizer* optimizer : {static_cast<Optimizer*>(&adam), static_cast<Optimizer*>(&sgd)}) {
        Tape first;
        optimizer->accumulate(net.loss(1));
        Tape second;
        optimizer->step(net.loss());
      }
      average.update();
    }
    std::vector<float> values = net.values();
    average.swap();
    for (const float v : net.values()) values.push_back(v);
    return values;
  };
  const std::vector<float> one = train(1);
  CHECK(one != Network().values());
  for (const int threads : {2, 3, 8}) CHECK(train(threads) == one);
}

TEST_CASE("a frozen parameter is left alone, and starts anew when it is released") {
  const Parameter p = parameter({1}), q = parameter({1}, "q");
  Adam adam({p, q}, {.lr = 0.1});
  const auto step = [&] {
    Tape tape;
    adam.step(distance(p, 3) + distance(q, 3));
  };
  Parameter(q).set_trainable(false);
  step();
  step();
  CHECK(at(q) == 1);
  CHECK(at(p) > 1.15);
  Parameter(q).set_trainable(true);
  step();
  // Its first step has the length lr: the corrections of bias count its own steps.
  CHECK(at(q) == Approx(1.1));
  Parameter(p).set_trainable(false);
  Parameter(q).set_trainable(false);
  Tape tape;
  const Var loss = distance(p, 3);
  adam.step(loss);  // nothing to update
  CHECK(tape.graph().result(loss.id()) != nullptr);
}

TEST_CASE("a parameter that the loss does not reach has a gradient of zeros") {
  const Parameter p = parameter({1}), q = parameter({1}, "q");
  Adam adam({p, q}, {.lr = 0.1, .beta1 = 0.5, .beta2 = 0.5, .eps = 0});
  {
    Tape tape;
    adam.step(distance(p, 3) + q * 2);
  }
  CHECK(at(q) == Approx(0.9));
  Tape tape;
  adam.step(distance(p, 3));
  // m = 1, v = 2, halved once more: 0.5 / 0.75 over sqrt(1 / 0.75)
  CHECK(at(q) == Approx(0.9 - 0.1 * (0.5 / 0.75) / std::sqrt(1 / 0.75)));
}

TEST_CASE("a gradient that lies in another parameter's memory is read before its update") {
  // The gradient of p is q itself, and that of q is p.
  static const Op product{.name = "product",
                          .shape = [](ShapeContext&) { return Shape{}; },
                          .gradient =
                              [](GradientContext& c) {
                                c.input_grad(0) = c.input(1);
                                c.input_grad(1) = c.input(0);
                              },
                          .cpu = {.forward = [](const ForwardContext& c) {
                            *c.output().as<double>() =
                                *c.input(0).as<double>() * *c.input(1).as<double>();
                          }}};
  const Parameter p(full({}, 3, f64)), q(full({}, 5, f64));
  Sgd sgd({p, q}, {.lr = 0.1});
  Tape tape;
  sgd.step(record(product, {p, q}));
  CHECK(at(p) == Approx(3 - 0.5));
  CHECK(at(q) == Approx(5 - 0.3));
}

TEST_CASE("a resumed run continues to the bit") {
  const auto train = [](const Network& net, Optimizer& optimizer, int from, int to) {
    for (int step = from; step < to; ++step) {
      Tape tape;
      optimizer.step(net.loss(step));
    }
  };
  const Network straight, resumed;
  AdamW one(straight.parameters(), {.weight_decay = 0.1, .clip_norm = 2});
  train(straight, one, 0, 6);

  std::vector<std::pair<std::string, Tensor>> saved;
  {
    AdamW first(resumed.parameters(), {.weight_decay = 0.1, .clip_norm = 2});
    train(resumed, first, 0, 2);
    for (const auto& [name, array] : first.state()) saved.emplace_back(name, array.clone());
  }
  AdamW second(resumed.parameters(), {.weight_decay = 0.1, .clip_norm = 2});
  second.load(saved);
  CHECK(second.steps() == 2);
  train(resumed, second, 2, 6);
  CHECK(resumed.values() == straight.values());
  CHECK(straight.values() != Network().values());
  CHECK(saved[1].first == "optimizer/a/steps");
  CHECK(saved[2].first == "optimizer/a/mean");

  saved.pop_back();
  CHECK_THROWS_WITH(second.load(saved), Contains("optimizer/b/variance"));
  saved.emplace_back("optimizer/b/variance", zeros({131}));
  CHECK_THROWS_WITH(second.load(saved), Contains("[130]") && Contains("[131]"));
  CHECK(second.steps() == 6);
}

TEST_CASE("a step that fails changes nothing") {
  Executor executor({.guard = true});
  const Executor::Use use(executor);
  const Parameter p = parameter({-1, 4}), q = parameter({2}, "q");
  Adam adam({p, q}, {.clip_norm = 1});
  Tape tape;
  CHECK_THROWS_WITH(adam.step(sum(log(p)) + sum(q)), Contains("log"));
  CHECK(at(p) == -1);
  CHECK(at(q) == 2);
  CHECK(adam.steps() == 0);
  Tape again;
  adam.step(sum(p * q));
  CHECK(at(q) == Approx(2 - 1e-3));
}

TEST_CASE("a loss or a gradient that is not finite changes nothing, and is told") {
  const double bad =
      GENERATE(std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN());
  const double limit = GENERATE(2.0, std::numeric_limits<double>::infinity());
  const bool in_gradient = GENERATE(true, false);
  const int kind = GENERATE(0, 1, 2);
  const Parameter p = parameter({1, -2}), q = parameter({3}, "q");
  const std::vector<Parameter> both{p, q};
  Adam adam(both, {.lr = 0.1, .clip_norm = limit});
  Sgd sgd(both, {.lr = 0.1, .clip_norm = limit});
  Sgd momentum(both, {.lr = 0.1, .momentum = 0.9, .clip_norm = limit});
  Optimizer& optimizer = kind == 0 ? static_cast<Optimizer&>(adam) : kind == 1 ? sgd : momentum;
  const auto good_step = [&] {
    Tape tape;
    return optimizer.step(distance(p, 0.5) + distance(q, 1));
  };
  CHECK(good_step());
  const std::vector<double> before{at(p, 0), at(p, 1), at(q)};
  std::vector<std::vector<double>> state;
  for (const auto& [name, array] : optimizer.state()) state.push_back(array.to_vector<double>());
  {
    Tape tape;
    // The loss alone is bad where the constant is added to it.
    const Var loss = in_gradient ? sum(p * full({2}, bad, f64)) + sum(q) : sum(p) + sum(q) + bad;
    CHECK(!optimizer.step(loss));
    CHECK(std::isfinite(optimizer.last_norm()) != in_gradient);
  }
  CHECK(before == std::vector<double>{at(p, 0), at(p, 1), at(q)});
  size_t i = 0;
  for (const auto& [name, array] : optimizer.state())
    CHECK(state[i++] == array.to_vector<double>());
  CHECK(optimizer.steps() == 1);
  CHECK(good_step());
  CHECK(at(q) != before[2]);
  CHECK(optimizer.steps() == 2);
}

TEST_CASE("what cannot be trained is refused") {
  const Parameter p = parameter({1}, "decoder/weight");
  CHECK_THROWS_WITH(Adam({p, p}), Contains("decoder/weight") && Contains("twice"));
  CHECK_THROWS_WITH(Adam({Parameter()}), Contains("no value"));
  Parameter ids(tensor<int32_t>({1}));
  ids.state()->name = "ids";
  CHECK_THROWS_WITH(Adam({ids}), Contains("ids") && Contains("int32"));
  CHECK_THROWS_WITH(ExponentialMovingAverage({ids}), Contains("ids") && Contains("int32"));
  CHECK_THROWS_WITH(ExponentialMovingAverage({p}, 1.5), Contains("decay"));
  CHECK_THROWS_WITH(Adam({p}, {.clip_norm = -1}), Contains("clip_norm"));
  CHECK_THROWS_WITH(Sgd({p}, {.nesterov = true}), Contains("Nesterov"));
  Adam adam({p});
  Tape tape;
  CHECK_THROWS_AS(adam.step(p * tensor<double>({1, 2})), Error);
}

TEST_CASE("learning rates that are negative or not finite are refused where they are set") {
  const Parameter p = parameter({1});
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  Adam adam({p}, {.clip_norm = 1});
  for (const double rate : {-0.1, inf, nan}) {
    CHECK_THROWS_WITH(Adam({p}, {.lr = rate}), Contains("learning rate"));
    const int line = __LINE__ + 1;
    const auto at_line = [&] { adam.lr(rate); };
    CHECK_THROWS_WITH(
        at_line(), Contains("learning rate") && Contains("optim_test.cpp:" + std::to_string(line)));
    CHECK_THROWS_WITH(Sgd({{.parameters = {p}, .lr_factor = rate}}), Contains("lr_factor"));
    CHECK_THROWS_WITH(Sgd({{.parameters = {p}, .decay_factor = rate}}), Contains("decay_factor"));
    CHECK_THROWS_WITH(Sgd({p}, {.momentum = rate}), Contains("momentum"));
    CHECK_THROWS_WITH(schedules::constant(rate), Contains("rate"));
    CHECK_THROWS_WITH(schedules::warmup_inverse_sqrt(rate, 10), Contains("peak"));
    CHECK_THROWS_WITH(schedules::cosine(rate, 1, 10), Contains("peak"));
    CHECK_THROWS_WITH(schedules::cosine(1, 1, 10, rate), Contains("floor"));
    CHECK_THROWS_WITH(schedules::step_decay(rate, 1, 0.5), Contains("base"));
    CHECK_THROWS_WITH(schedules::step_decay(1, 1, rate), Contains("factor"));
  }
  CHECK(adam.lr() == 1e-3);
  adam.lr(0);
  Tape tape;
  CHECK(adam.step(distance(p, 3)));
  CHECK(at(p) == 1);
}

TEST_CASE("a step of a loss that no parameter of the optimizer is in is refused") {
  const Parameter p = parameter({1}), other = parameter({1}, "other");
  AdamW adam({p}, {.lr = 0.1, .weight_decay = 0.5});
  {
    Tape tape;
    const Var loss = distance(other, 3);
    const int line = __LINE__ + 1;
    const auto at_line = [&] { (void)adam.step(loss); };
    CHECK_THROWS_WITH(at_line(), Contains("step: the loss depends on none") &&
                                     Contains("optim_test.cpp:" + std::to_string(line)));
    CHECK_THROWS_WITH(adam.accumulate(loss), Contains("accumulate: the loss depends on none"));
    CHECK_THROWS_WITH(adam.step(as_var(distance(p, 3).value())), Contains("depends on none"));
    CHECK_THROWS_WITH(adam.step(sum(sign(as_var(p)))), Contains("pass no gradient"));
  }
  CHECK(at(p) == 1);
  CHECK(adam.steps() == 0);
  // What was accumulated before may be all that a step is about.
  {
    Tape tape;
    adam.accumulate(distance(p, 3));
  }
  Tape tape;
  CHECK(adam.step(as_var(full({}, 0))));
  CHECK(at(p) > 1);
}

TEST_CASE("what was gathered for a parameter that is frozen at the step is forgotten") {
  const Parameter p = parameter({1}), q = parameter({1}, "q");
  Sgd sgd({p, q}, {.lr = 1});
  const auto loss = [&](double factor) { return (as_var(p) + q) * factor; };
  {
    Tape tape;
    sgd.accumulate(sum(loss(100)));
  }
  Parameter(p).set_trainable(false);
  {
    Tape tape;
    sgd.step(sum(loss(1)));
  }
  CHECK(at(p) == 1);
  CHECK(at(q) == 1 - 101);
  Parameter(p).set_trainable(true);
  Tape tape;
  sgd.step(sum(loss(0.5)));
  CHECK(at(p) == 0.5);
}

struct Forgetful {
  Parameter weight{full({2}, 1)}, bias{full({2}, 1)};
  Var operator()(const Arg& x) const { return weight * x + bias; }
  void visit(auto&& f) { f("weight", weight); }  // and not bias
};

TEST_CASE("a member that visit() leaves out is found at the first step") {
  Forgetful model, teacher;
  const Tensor x = full({2}, 3);
  {
    Tape tape;
    Sgd sgd(parameters(model));
    const int line = __LINE__ + 1;
    const Var loss = sum(model(x));
    const auto at_line = [&] { (void)sgd.step(loss); };
    CHECK_THROWS_WITH(at_line(), Contains("does a visit() leave a member out?") &&
                                     Contains("; at optim_test.cpp:" + std::to_string(line + 1)));
  }
  // What somebody has said something about is no mistake: frozen, another optimizer's, a list's.
  const auto steps = [](Forgetful& forgetful, const Var& loss) {
    return Sgd(parameters(forgetful)).step(loss);
  };
  {
    Tape tape;
    model.bias.set_trainable(false);
    CHECK(steps(model, sum(model(x))));
    model.bias.set_trainable(true);
  }
  {
    Tape tape;
    const Var loss = sum(model(x));
    const Sgd other({model.bias});
    CHECK(steps(model, loss));
  }
  {
    Tape tape;
    (void)parameters(teacher.bias);
    std::vector<Parameter> all{teacher.weight, teacher.bias};
    (void)parameters(all);
    CHECK(steps(model, mean(square(model(x) - teacher(x)))));
  }
  // An optimizer of loose parameters has no visit() to look at.
  Tape tape;
  const Parameter a(full({2}, 1)), b(full({2}, 1));
  CHECK(Sgd({a}).step(sum(a * b)));
}

TEST_CASE("averages of parameters") {
  Parameter p = parameter({1, 10});
  ExponentialMovingAverage average({p}, 0.75);
  p.set(tensor<double>({2, 20}));
  average.update();
  p.set(tensor<double>({3, 30}));
  average.update();
  const double want = 0.75 * (0.75 * 1 + 0.25 * 2) + 0.25 * 3;
  average.swap();
  CHECK(at(p, 0) == Approx(want));
  CHECK(at(p, 1) == Approx(10 * want));
  average.swap();
  CHECK(at(p, 0) == 3);
  CHECK(average.state()[0].first == "average/p");
  average.copy_to_parameters();
  CHECK(at(p, 0) == Approx(want));

  const Parameter other = parameter({0, 0});
  ExponentialMovingAverage restored({other}, 0.75);
  restored.load(average.state());
  restored.copy_to_parameters();
  CHECK(at(other, 1) == Approx(10 * want));
  CHECK_THROWS_WITH(restored.load({}), Contains("average/p"));

  // A tape recorded before the exchange must not mix old and new values.
  Tape tape;
  const Var y = p * 2;
  average.swap();
  CHECK_THROWS_WITH(y.value(), Contains("changed"));
}
