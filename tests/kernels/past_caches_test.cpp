// Gradients that are written past the caches.
#include <cstring>

#include "framework/core/cpu.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/rows/norm.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/row_split.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

constexpr int64_t width = 512, many = 2048, few = 64;

/// The gradients of softmax and layer_norm for the first `rows` rows of x and of what arrives.
std::vector<Tensor> gradients(const Tensor& x, const Tensor& g, int64_t rows) {
  Tape tape;
  const Var v = reshape(slice(as_var(x), 0, 0, rows), {rows, width});
  const Var seed = reshape(slice(as_var(g), 0, 0, rows), {rows, width});
  std::vector<Tensor> all;
  for (const Var& y : {softmax(v), layer_norm(v, full({width}, 1.5), zeros({width}))}) {
    all.push_back(vjp(std::span(&y, 1), std::span(&seed, 1), std::span(&v, 1))[0].value());
  }
  return all;
}

TEST_CASE("only a result's size in bytes decides whether it is written past the caches") {
  bool before = false;
  for (int64_t bytes = 64; bytes <= int64_t{1} << 30; bytes *= 2) {
    INFO(bytes << " bytes");
    TensorView view{.data = nullptr, .dtype = DType::float32, .shape = {bytes / 4}};
    const bool past = write_past_caches(view);
    CHECK((past || !before));                          // Larger ones are, too.
    CHECK_FALSE((past && bytes <= int64_t{1} << 20));  // A small one is read again from a cache.
    CHECK((!past || prefers_streaming_stores()));
    view = {.data = nullptr, .dtype = DType::float64, .shape = {2, bytes / 16}};
    CHECK(write_past_caches(view) == past);
    before = past;
  }
}

TEST_CASE("a row's gradient has the same bits among many rows as among few") {
  const Key key{3};
  const Tensor x = normal(key, {many, width}), g = normal(key.fold(1), {many, width});
  const std::vector<Tensor> large = gradients(x, g, many), small = gradients(x, g, few);
  for (size_t i = 0; i < large.size(); ++i) {
    CHECK(std::memcmp(large[i].data<float>().data(), small[i].data<float>().data(),
                      static_cast<size_t>(few * width) * sizeof(float)) == 0);
  }
}

}  // namespace
}  // namespace rapt
