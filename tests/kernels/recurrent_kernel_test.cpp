// The recurrent cells' kernels against their reference, and its slopes.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <random>

#include "ops/kernels/elementwise/recurrent.hpp"
#include "ops/kernels/elementwise/reference.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"

using namespace rapt::kernels;
using rapt::test::Guarded;

namespace {

/// A [rows, n] array whose rows stand `gap` elements apart from each other.
template <class T>
struct Matrix {
  Matrix(int64_t rows, int64_t n, int64_t gap, double spread = 0, uint32_t seed = 1)
      : stride(n + gap), values(rows == 0 ? 0 : (rows - 1) * (n + gap) + n, spread, seed) {}
  T& operator()(int64_t row, int64_t j) { return values[row * stride + j]; }
  operator Rows<T>() { return {values.data(), stride}; }
  operator Rows<const T>() { return {values.data(), stride}; }
  int64_t stride;
  Guarded<T> values;
};

template <class T>
const RecurrentKernels<T>& table() {
  return kernels_for<RecurrentTable, T>();
}

/// A few roundings of values near 1, through functions good to a few units in the last place.
template <class T>
constexpr double tolerance = sizeof(T) == 4 ? 2e-6 : 2e-14;

/// Central difference with a step where truncation and rounding, both near 1e-10, meet.
double slope(double& at, const std::function<double()>& f) {
  const double center = at;
  const double step = 1e-5;
  at = center + step;
  const double above = f();
  at = center - step;
  const double below = f();
  at = center;
  return (above - below) / (2 * step);
}

constexpr double slope_tolerance = 1e-8;

/// Rows 1, 4, 7 ... sit out by keep byte; where lengths are used, row b lives for b steps.
bool active_row(int64_t row, int mode) {
  if (mode == 1) return row % 3 != 1;
  if (mode == 2) return row > 2;
  return true;
}

ActiveRows active_rows(int mode, Guarded<uint8_t>& keep, Guarded<int32_t>& lengths) {
  ActiveRows active;
  for (int64_t i = 0; i < lengths.size(); ++i) {
    keep[2 * i] = i % 3 != 1;
    lengths[i] = static_cast<int32_t>(i);
  }
  if (mode == 1) {
    active.keep = keep.data();
    active.keep_stride = 2;
  }
  if (mode == 2) {
    active.lengths = lengths.data();
    active.step = 2;
  }
  return active;
}

template <class T>
void check_gru(int64_t B, int64_t H, int mode, bool with_bias) {
  INFO("B=" << B << " H=" << H << " mode=" << mode << " bias=" << with_bias);
  Matrix<T> x(B, 3 * H, 5, 3, 1), g(B, 3 * H, 0, 3, 2), h(B, H, 3, 1, 3), grad(B, H, 1, 1, 4);
  Guarded<T> bias(3 * H, 1, 5);
  Matrix<T> out(B, H, 2), saved(B, 4 * H, 1), grad_x(B, 3 * H, 4), grad_g(B, 3 * H, 0),
      grad_h(B, H, 7);
  Guarded<uint8_t> keep(B == 0 ? 0 : 2 * B - 1);
  Guarded<int32_t> lengths(B);
  const ActiveRows active = active_rows(mode, keep, lengths);

  GruForward<T> forward{H, x, g, with_bias ? bias.data() : nullptr, h, out, saved, active};
  table<T>().gru_forward(forward, 0, B);
  GruBackward<T> backward{H, grad, h, saved, grad_x, grad_g, grad_h, active};
  table<T>().gru_backward(backward, 0, B);

  for (int64_t b = 0; b < B; ++b) {
    for (int64_t j = 0; j < H; ++j) {
      INFO("row " << b << " unit " << j);
      if (!active_row(b, mode)) {
        REQUIRE(out(b, j) == h(b, j));
        REQUIRE(grad_h(b, j) == grad(b, j));
        for (int64_t part = 0; part < 3; ++part) {
          REQUIRE(grad_x(b, part * H + j) == 0);
          REQUIRE(grad_g(b, part * H + j) == 0);
        }
        continue;
      }
      reference::GruUnit unit{};
      for (int64_t part = 0; part < 3; ++part) {
        unit.x[part] = x(b, part * H + j);
        unit.g[part] = g(b, part * H + j);
        unit.bias[part] = with_bias ? bias[part * H + j] : 0;
      }
      unit.h = h(b, j);
      const double d = grad(b, j);
      const auto step = [&] { return unit.step(); };
      REQUIRE(std::abs(out(b, j) - unit.step()) < tolerance<T>);
      const double close = slope_tolerance + tolerance<T>;
      for (int64_t part = 0; part < 3; ++part) {
        REQUIRE(std::abs(grad_x(b, part * H + j) - d * slope(unit.x[part], step)) < close);
        REQUIRE(std::abs(grad_g(b, part * H + j) - d * slope(unit.g[part], step)) < close);
      }
      REQUIRE(std::abs(grad_h(b, j) - d * slope(unit.h, step)) < close);
    }
  }
}

template <class T>
void check_lstm(int64_t B, int64_t H, int mode, bool with_bias) {
  INFO("B=" << B << " H=" << H << " mode=" << mode << " bias=" << with_bias);
  Matrix<T> x(B, 4 * H, 5, 2, 1), g(B, 4 * H, 0, 2, 2), h(B, H, 3, 1, 3), c(B, H, 1, 2, 4);
  Matrix<T> grad_h_out(B, H, 1, 1, 5), grad_c_out(B, H, 0, 1, 6);
  Guarded<T> bias(4 * H, 1, 7);
  Matrix<T> h_out(B, H, 2), c_out(B, H, 0), saved(B, 4 * H, 1), grad_gates(B, 4 * H, 4),
      grad_h(B, H, 7), grad_c(B, H, 0);
  Guarded<uint8_t> keep(B == 0 ? 0 : 2 * B - 1);
  Guarded<int32_t> lengths(B);
  const ActiveRows active = active_rows(mode, keep, lengths);

  LstmForward<T> forward{H,     x,     g,     with_bias ? bias.data() : nullptr, h, c, h_out,
                         c_out, saved, active};
  table<T>().lstm_forward(forward, 0, B);
  LstmBackward<T> backward{H,     grad_h_out, grad_c_out, c,      c_out,
                           saved, grad_gates, grad_h,     grad_c, active};
  table<T>().lstm_backward(backward, 0, B);

  for (int64_t b = 0; b < B; ++b) {
    for (int64_t j = 0; j < H; ++j) {
      INFO("row " << b << " unit " << j);
      if (!active_row(b, mode)) {
        REQUIRE(h_out(b, j) == h(b, j));
        REQUIRE(c_out(b, j) == c(b, j));
        REQUIRE(grad_h(b, j) == grad_h_out(b, j));
        REQUIRE(grad_c(b, j) == grad_c_out(b, j));
        for (int64_t part = 0; part < 4; ++part) REQUIRE(grad_gates(b, part * H + j) == 0);
        continue;
      }
      reference::LstmUnit unit{};
      for (int64_t part = 0; part < 4; ++part) {
        const int64_t at = part * H + j;
        unit.gate[part] = double(x(b, at)) + double(g(b, at)) + (with_bias ? double(bias[at]) : 0);
      }
      unit.c = c(b, j);
      REQUIRE(std::abs(c_out(b, j) - unit.cell()) < 3 * tolerance<T>);  // |c| reaches 3
      REQUIRE(std::abs(h_out(b, j) - unit.step()) < 3 * tolerance<T>);
      const double d_h = grad_h_out(b, j);
      const double d_c = grad_c_out(b, j);
      const auto loss = [&] { return d_h * unit.step() + d_c * unit.cell(); };
      const double close = slope_tolerance + 3 * tolerance<T>;
      for (int64_t part = 0; part < 4; ++part) {
        REQUIRE(std::abs(grad_gates(b, part * H + j) - slope(unit.gate[part], loss)) < close);
      }
      REQUIRE(std::abs(grad_c(b, j) - slope(unit.c, loss)) < close);
      REQUIRE(grad_h(b, j) == 0);
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("gru step matches its definition and its slopes", "", float, double) {
  for (const int64_t H : {0, 1, 7, 8, 16, 33}) {
    for (const int mode : {0, 1, 2}) check_gru<TestType>(6, H, mode, H != 16);
  }
  check_gru<TestType>(0, 5, 1, true);
}

TEMPLATE_TEST_CASE("lstm step matches its definition and its slopes", "", float, double) {
  for (const int64_t H : {0, 1, 7, 8, 16, 33}) {
    for (const int mode : {0, 1, 2}) check_lstm<TestType>(6, H, mode, H != 16);
  }
  check_lstm<TestType>(0, 5, 1, true);
}

TEMPLATE_TEST_CASE("recurrent steps give the same bits for any split of the rows", "", float,
                   double) {
  using T = TestType;
  const int64_t B = 5;
  const int64_t H = 19;
  Matrix<T> x(B, 4 * H, 0, 3, 1), g(B, 4 * H, 0, 3, 2), h(B, H, 0, 1, 3), c(B, H, 0, 1, 4);
  Matrix<T> gru_whole(B, H, 0), gru_split(B, H, 0), h_whole(B, H, 0), h_split(B, H, 0),
      c_whole(B, H, 0), c_split(B, H, 0);
  GruForward<T> gru{H, x, g, nullptr, h, gru_whole, {}, {}};
  LstmForward<T> lstm{H, x, g, nullptr, h, c, h_whole, c_whole, {}, {}};
  table<T>().gru_forward(gru, 0, B);
  table<T>().lstm_forward(lstm, 0, B);
  gru.h_out = gru_split;
  lstm.h_out = h_split;
  lstm.c_out = c_split;
  for (int64_t row = B; row-- > 0;) {
    table<T>().gru_forward(gru, row, row + 1);
    table<T>().lstm_forward(lstm, row, row + 1);
  }
  const auto bytes = static_cast<size_t>(B * H) * sizeof(T);
  REQUIRE(std::memcmp(gru_whole.values.data(), gru_split.values.data(), bytes) == 0);
  REQUIRE(std::memcmp(h_whole.values.data(), h_split.values.data(), bytes) == 0);
  REQUIRE(std::memcmp(c_whole.values.data(), c_split.values.data(), bytes) == 0);
}

TEMPLATE_TEST_CASE("recurrent steps may write their state in place", "", float, double) {
  using T = TestType;
  const int64_t B = 3;
  const int64_t H = 21;
  Matrix<T> x(B, 4 * H, 0, 3, 1), g(B, 4 * H, 0, 3, 2), h(B, H, 0, 1, 3), c(B, H, 0, 1, 4);
  Matrix<T> gru_h(B, H, 0, 1, 3), lstm_h(B, H, 0, 1, 3), lstm_c(B, H, 0, 1, 4);
  Matrix<T> expected_gru(B, H, 0), expected_h(B, H, 0), expected_c(B, H, 0);
  Guarded<int32_t> lengths(B);
  for (int64_t b = 0; b < B; ++b) lengths[b] = b == 1 ? 0 : 9;
  const ActiveRows active{nullptr, 1, lengths.data(), 4};
  table<T>().gru_forward({H, x, g, nullptr, h, expected_gru, {}, active}, 0, B);
  table<T>().gru_forward({H, x, g, nullptr, gru_h, gru_h, {}, active}, 0, B);
  table<T>().lstm_forward({H, x, g, nullptr, h, c, expected_h, expected_c, {}, active}, 0, B);
  table<T>().lstm_forward({H, x, g, nullptr, lstm_h, lstm_c, lstm_h, lstm_c, {}, active}, 0, B);
  const auto bytes = static_cast<size_t>(B * H) * sizeof(T);
  REQUIRE(std::memcmp(expected_gru.values.data(), gru_h.values.data(), bytes) == 0);
  REQUIRE(std::memcmp(expected_h.values.data(), lstm_h.values.data(), bytes) == 0);
  REQUIRE(std::memcmp(expected_c.values.data(), lstm_c.values.data(), bytes) == 0);
}

TEST_CASE("saturated gates stay finite, forward and backward") {
  const int64_t H = 17;
  Matrix<float> x(1, 4 * H, 0), g(1, 4 * H, 0, 1, 2), h(1, H, 0, 1, 3), out(1, H, 0),
      saved(1, 4 * H, 0), grad(1, H, 0, 1, 4), grad_x(1, 3 * H, 0), grad_g(1, 3 * H, 0),
      grad_h(1, H, 0);
  for (int64_t j = 0; j < 4 * H; ++j) x(0, j) = j % 2 == 0 ? 1e30f : -1e30f;
  table<float>().gru_forward({H, x, g, nullptr, h, out, saved, {}}, 0, 1);
  table<float>().gru_backward({H, grad, h, saved, grad_x, grad_g, grad_h, {}}, 0, 1);
  for (int64_t j = 0; j < H; ++j) {
    REQUIRE(std::isfinite(out(0, j)));
    REQUIRE(std::isfinite(grad_h(0, j)));
  }
  for (int64_t j = 0; j < 3 * H; ++j) {
    REQUIRE(grad_x(0, j) == 0);
    REQUIRE(grad_g(0, j) == 0);
  }
}
