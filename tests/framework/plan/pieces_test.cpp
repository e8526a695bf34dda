// Values that are written right where they will be needed as parts of larger ones.
#include <cmath>
#include <cstring>
#include <numeric>
#include <rapt/rapt.hpp>

#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

const Key key{23};

// Outputs: the input, and twice the input.
const Op twin_grads_op{
    .name = "twin_grads",
    .shape =
        [](ShapeContext& c) {
          for (int i = 0; i < 2; ++i) c.output(Shape(c.input(0)), c.dtype());
        },
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  const auto* from = c.input(0).as<const float>();
                  const int64_t columns = c.input(0).shape[1];
                  for (int64_t i = 0; i < c.input(0).size(); ++i) {
                    for (int k = 0; k < 2; ++k) {
                      const TensorView& y = c.output(k);
                      y.as<float>()[i / columns * y.strides[0] + i % columns * y.strides[1]] =
                          from[i] * static_cast<float>(k + 1);
                    }
                  }
                },
            .strided_outputs = 0b11}};

// y = a + 2 b
const Op twins_op{.name = "twins",
                  .shape = [](ShapeContext& c) { return c.input(0); },
                  .gradient =
                      [](GradientContext& c) {
                        const Var both = record(twin_grads_op, {c.output_grad()});
                        c.input_grad(0) = both.output(0);
                        c.input_grad(1) = both.output(1);
                      },
                  .cpu = {.forward = [](const ForwardContext& c) {
                    for (int64_t i = 0; i < c.output().size(); ++i) {
                      c.output().as<float>()[i] =
                          c.input(0).as<float>()[i] + 2 * c.input(1).as<float>()[i];
                    }
                  }}};

/// How many inputs of the plan's steps of this name lie in their output already.
int in_place(const Plan& plan, std::string_view name) {
  int count = 0;
  for (const Plan::Step& step : plan.steps) {
    if (step.op->name != name) continue;
    const Plan::Source& whole = plan.sources[step.first_output];
    const TensorView& output = plan.views[step.first_output];
    const int64_t bytes = output.size() * size_of(output.dtype);
    for (const ViewId input : step.input_views()) {
      const Plan::Source& piece = plan.sources[input];
      const int64_t from = piece.offset - whole.offset;
      if (piece.place != whole.place || piece.index != whole.index) continue;
      if (from >= 0 && from < bytes) ++count;
    }
  }
  return count;
}

int in_place(std::initializer_list<Var> targets) {
  return in_place(*Executor::current().plan(std::span(targets.begin(), targets.size())), "unslice");
}

TEST_CASE("pieces that cover an array are written to it") {
  const Tensor start = normal(key, {3, 10});
  Tape tape;
  const Var x = as_var(start);
  const auto gradient_of = [&](int64_t begin, int64_t end) {
    return grad(sum(record(twins_op, {slice(x, 1, 0, 5), slice(x, 1, begin, end)})), {x}).front();
  };
  const Var halves = gradient_of(5, 10);
  CHECK(in_place({halves}) == 2);                // a result's memory
  CHECK(in_place({sum(softmax(halves))}) == 2);  // the arena's
  const auto values = halves.value().to_vector<float>();
  for (size_t i = 0; i < values.size(); ++i) CHECK(values[i] == (i % 10 < 5 ? 1.0f : 2.0f));
  CHECK(in_place({gradient_of(4, 9)}) == 0);  // they overlap
  // Every other column: the last stride is no 1.
  const Var combed = sum(record(twins_op, {slice(x, 1, 0, 10, 2), slice(x, 1, 1, 10, 2)}));
  CHECK(in_place({grad(combed, {x}).front()}) == 0);
}

TEST_CASE("a piece that is wanted, or read elsewhere, has memory of its own") {
  const Tensor start = normal(key, {3, 10});
  Tape tape;
  const Var x = as_var(start), low = slice(x, 1, 0, 5), high = slice(x, 1, 5, 10);
  const std::vector<Var> g = grad(sum(record(twins_op, {low, high})), {x, low, high});
  CHECK(in_place({g[0]}) == 2);
  CHECK(in_place({g[0], g[1]}) == 1);
  CHECK(in_place({g[0], sum(softmax(g[2]))}) == 1);
  CHECK(in_place({g[0], g[1], g[2]}) == 0);
  // One that was computed before is copied.
  const auto values = g[1].value().to_vector<float>();
  CHECK(values == std::vector<float>(15, 1.0f));
  const auto whole = g[0].value().to_vector<float>();
  for (size_t i = 0; i < whole.size(); ++i) CHECK(whole[i] == (i % 10 < 5 ? 1.0f : 2.0f));
}

TEST_CASE("the guard sees all of a piece") {
  Executor executor({.guard = true});
  const Executor::Use use(executor);
  for (const bool bad : {false, true}) {
    Tape tape;
    const Var x = as_var(zeros({2, 6}));
    // The second row's last element is the one that overflows when it is doubled.
    std::vector<float> seed(6, 1.0f);
    if (bad) seed.back() = 3e38f;
    const Var y = record(twins_op, {slice(x, 1, 0, 3), slice(x, 1, 3, 6)});
    const Var weighted = sum(y * tensor(seed, {2, 3}));
    const Var g = grad(weighted, {x}).front();
    REQUIRE(in_place({g}) == 2);
    if (bad) {
      CHECK_THROWS_WITH(g.value(), Contains("twin_grads: the result [2, 3] holds"));
    } else {
      CHECK(g.value().to_vector<float>().back() == 2.0f);
    }
  }
}

/// The gradients of a projection to queries, keys and values, and how many of them are written
/// where the projection's gradient needs them.
template <class T>
std::vector<T> projection_gradients(const ExecutorOptions& options, const Shape& sizes,
                                    int& there) {
  constexpr DType dtype = dtype_of<T>;
  Executor executor(options);
  const Executor::Use use(executor);
  const int64_t batch = sizes[0], time = sizes[1], heads = sizes[2], n = sizes[3];
  Tape tape;
  const Var x = as_var(normal(key, {batch, time, heads * n}, 0, 1, dtype));
  const Var w = as_var(normal(key.fold(1), {3 * heads * n, heads * n}, 0, 0.3, dtype));
  const Var parts = reshape(linear(x, w), {batch, time, 3 * heads, n});
  const auto part = [&](int64_t i) {
    return transpose(slice(parts, 2, i * heads, (i + 1) * heads), 1, 2);
  };
  const Var y = attention(part(0), part(1), part(2), {.mask = causal()});
  const std::vector<Var> wanted = grad(sum(square(softmax(y))), {x, w});
  there = in_place(*executor.plan(wanted), "unslice");
  executor.run(wanted);
  std::vector<T> values;
  for (const Var& one : wanted) {
    const auto more = one.value().template to_vector<T>();
    values.insert(values.end(), more.begin(), more.end());
  }
  return values;
}

TEMPLATE_TEST_CASE("attention's gradients are put together where they are made, with the same bits",
                   "", float, double) {
  for (const Shape& sizes : {Shape{2, 5, 3, 7}, Shape{3, 70, 2, 16}, Shape{1, 1, 1, 1}}) {
    int there = 0;
    const auto expected =
        projection_gradients<TestType>({.threads = 1, .fuse = false}, sizes, there);
    CHECK(there == 0);
    for (const ExecutorOptions& options :
         {ExecutorOptions{.threads = 1}, ExecutorOptions{.threads = 3, .parallel_from = 0}}) {
      const auto values = projection_gradients<TestType>(options, sizes, there);
      CHECK(there == 3);
      REQUIRE(values.size() == expected.size());
      CHECK(std::memcmp(values.data(), expected.data(), values.size() * sizeof(TestType)) == 0);
    }
  }
}

TEST_CASE("every step that writes a piece waits for who used the memory of the whole before") {
  Tape tape;
  const Var x = as_var(normal(key, {3, 20}));
  const auto part = [&](int64_t i) { return slice(x, 1, 5 * i, 5 * i + 5); };
  const std::vector<Var> outputs{record(twins_op, {part(0), part(1)}),
                                 record(twins_op, {part(2), part(3)})};
  // Its memory is free when the gradients begin, which do not need it.
  const Var other = sum(cumsum(cumsum(x, 1), 0));
  const std::vector<Var> seeds{as_var(full({3, 5}, 2)), as_var(full({3, 5}, 3))};
  const Var read = sum(cumsum(vjp(outputs, seeds, {&x, 1}).front(), 0));
  CHECK(in_place({other, read}) == 4);
  Executor executor({.threads = 1, .check_plans = true});
  executor.run({other, read});
  std::vector<float> all(20, 0);
  for (size_t i = 0; i < 20; ++i) all[i] = static_cast<float>((i / 5 % 2 + 1) * (i < 10 ? 2 : 3));
  // cumsum counts row 0 three times, row 1 twice.
  CHECK(read.item() == 6 * std::accumulate(all.begin(), all.end(), 0.0));
}

}  // namespace
}  // namespace rapt
