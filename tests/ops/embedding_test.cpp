// Embedding: errors, ids outside of the table, and gradients of rows that repeat or are not used.
#include "ops/shape/embedding.hpp"

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

Tensor ids_of(const std::vector<int32_t>& ids, const Shape& shape) { return tensor(ids, shape); }

}  // namespace

TEST_CASE("embedding says what does not fit") {
  Tape tape;
  CHECK_THROWS_WITH(embedding(zeros({2}), zeros({5, 3})),
                    Contains("embedding: expected int32 ids and a float table, got float32 and "
                             "float32; at embedding_test.cpp:"));
  CHECK_THROWS_WITH(embedding(zeros({2}, DType::int32), zeros({5})),
                    Contains("embedding: expected a table [V, C], got [5]"));
}

TEST_CASE("an id outside of the table is named, with its position") {
  Tape tape;
  for (const int32_t id : {5, -1, 1000000}) {
    const Var y = embedding(ids_of({0, 4, 1, id, 2, 7}, {2, 3}), zeros({5, 3}));
    CHECK_THROWS_WITH(y.value(), Contains("embedding: id " + std::to_string(id) +
                                          " at position [1, 0] is outside a table of 5 rows; at "
                                          "embedding_test.cpp:"));
  }
}

TEST_CASE("gradients add up where rows repeat, and are 0 where none is used") {
  Tape tape;
  const Var weight = as_var(uniform(Key{1}, {5, 2}));
  const Var y = embedding(ids_of({3, 1, 3, 3}, {2, 2}), weight);  // [2, 2, 2]
  const Tensor seed = tensor(std::vector<float>{1, 2, 10, 20, 100, 200, 1000, 2000}, {2, 2, 2});
  const Var g = grad(sum(y * seed), {weight})[0];
  CHECK(g.value().to_vector<double>() == std::vector<double>{0, 0, 10, 20, 0, 0, 1101, 2202, 0, 0});
}

TEST_CASE("a row that most positions name keeps the digits of its sum") {
  // In float, a hundred thousand additions of 0.1 are 1e-3 off.
  const int64_t n = 100000;
  std::vector<int32_t> ids(static_cast<size_t>(n), 3);
  ids[7] = 0;
  Tape tape;
  const Var weight = as_var(zeros({5, 3}));
  const Var y = embedding(ids_of(ids, {n}), weight);
  const std::vector<double> g = grad(sum(y * 0.1), {weight})[0].value().to_vector<double>();
  for (size_t j = 0; j < 3; ++j) {
    CHECK(g[j] == static_cast<double>(0.1f));
    CHECK(g[9 + j] == Approx(0.1 * static_cast<double>(n - 1)).epsilon(1e-6));
    CHECK(g[12 + j] == 0);
  }
}

TEST_CASE("no ids, and empty rows") {
  Tape tape;
  const Var weight = as_var(full({5, 3}, 1));
  const Var none = embedding(zeros({0}, DType::int32), weight);
  CHECK(none.value().shape() == Shape{0, 3});
  CHECK(grad(sum(none), {weight})[0].value().to_vector<double>() == std::vector<double>(15, 0));
  CHECK(embedding(zeros({4}, DType::int32), zeros({5, 0})).value().shape() == Shape{4, 0});
}

TEST_CASE("sums of rows run in the order of their positions, on any number of threads") {
  constexpr int64_t rows = 3000, width = 96, count = 2000;
  std::vector<int32_t> ids(count);
  // Half of them name one row: rounding would show another order.
  for (size_t i = 0; i < ids.size(); ++i) {
    ids[i] = i % 2 == 0 ? 1500 : static_cast<int32_t>(i * 37 % rows);
  }
  const Tensor seed = uniform(Key{2}, {count, width});
  std::vector<float> want(static_cast<size_t>(rows * width), 0.f);
  const std::vector<float> g = seed.to_vector<float>();
  for (size_t i = 0; i < ids.size(); ++i) {
    for (size_t j = 0; j < width; ++j) {
      want[static_cast<size_t>(ids[i]) * width + j] += g[i * width + j];
    }
  }
  for (const int threads : {1, 2, 8}) {
    Executor executor({.threads = threads});
    const Executor::Use use(executor);
    Tape tape;
    const Var weight = as_var(uniform(Key{1}, {rows, width}));
    const Var y = embedding(ids_of(ids, {count}), weight);
    const Var gradient = grad(sum(y * seed), {weight})[0];
    CHECK((gradient.value().to_vector<float>() == want));
    const std::vector<float> table = weight.value().to_vector<float>();
    const std::vector<float> picked = y.value().to_vector<float>();
    for (const size_t i : {0u, 1u, 1999u}) {
      CHECK(picked[i * width + 95] == table[static_cast<size_t>(ids[i]) * width + 95]);
    }
  }
}

}  // namespace rapt
