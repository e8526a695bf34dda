// Softmax, normalisation and cross-entropy of rows against their reference.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "ops/kernels/rows/reference.hpp"
#include "ops/kernels/rows/rows.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"

using namespace rapt::kernels;
using rapt::test::Guarded;

namespace {

template <class T>
const RowFunctions<T>& rows() {
  return kernels_for<RowKernels, T>();
}

template <class T>
std::vector<T> random_values(size_t n, unsigned seed, double spread = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, spread);
  std::vector<T> v(n);
  for (T& x : v) x = T(normal(random));
  return v;
}

const std::vector<size_t> widths{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100, 127, 513};
constexpr size_t row_count = 5;

template <class T>
double epsilon() {
  return double(std::numeric_limits<T>::epsilon());
}

template <class T>
void check_near(const T* got, const std::vector<double>& want, double tolerance) {
  for (size_t i = 0; i < want.size(); ++i) {
    INFO("element " << i << ": " << got[i] << ", expected " << want[i]);
    if (std::isinf(want[i])) {
      REQUIRE(double(got[i]) == want[i]);
    } else {
      REQUIRE(std::fabs(double(got[i]) - want[i]) <= tolerance);
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("softmax and log_softmax, masked and not", "[rows]", float, double) {
  using T = TestType;
  for (size_t n : widths) {
    for (int masked = 0; masked < 2; ++masked) {
      for (double scale : {1.0, 0.125, -0.5, 0.0}) {
        const size_t size = row_count * n;
        auto values = random_values<T>(size, unsigned(n), 3);
        // The mask has two rows, the second for rows 1, 3 of every pair; row 1, 3 keep nothing.
        std::vector<uint8_t> keep(2 * n, 0);
        for (size_t j = 0; j < n; ++j) keep[j] = uint8_t(j % 3 != 1);
        if (masked) {
          for (size_t i = 0; i < size; ++i) {
            if (!keep[(i / n % 2) * n + i % n]) values[i] = std::numeric_limits<T>::quiet_NaN();
          }
        }
        Guarded<T> x(values), y(size), l(size), dy(random_values<T>(size, 9)), dx(size), dl(size);
        Guarded<uint8_t> bytes(keep);
        RowMask mask;
        if (masked) mask = {bytes.data(), 2, {3, 2}, {0, int64_t(n)}};
        SoftmaxForward<T> forward{x.data(), y.data(), int64_t(n), T(scale), mask};
        rows<T>().softmax(forward, 0, 2);
        rows<T>().softmax(forward, 2, row_count);
        forward.y = l.data();
        rows<T>().log_softmax(forward, 0, row_count);
        SoftmaxBackward<T> backward{y.data(), dy.data(), dx.data(), int64_t(n), T(scale), mask};
        rows<T>().softmax_backward(backward, 0, row_count);
        backward.y = l.data();
        backward.dx = dl.data();
        rows<T>().log_softmax_backward(backward, 0, row_count);

        std::vector<double> want_y(size), want_l(size), want_dx(size), want_dl(size);
        for (size_t r = 0; r < row_count; ++r) {
          const size_t at = r * n;
          const auto kept = [&](int64_t j) { return !masked || keep[r % 2 * n + size_t(j)] != 0; };
          reference::softmax(int64_t(n), &values[at], scale, kept, &want_y[at], &want_l[at]);
          reference::softmax_backward(int64_t(n), &want_y[at], dy.data() + at, scale, kept,
                                      &want_dx[at], &want_dl[at]);
        }
        // exp and the sum of at most 513 terms, in blocks of lanes: some 10 roundings; sums of dy
        // and the logarithm are larger numbers.
        check_near(y.data(), want_y, 10 * epsilon<T>());
        check_near(l.data(), want_l, 40 * epsilon<T>());
        check_near(dx.data(), want_dx, 40 * epsilon<T>());
        check_near(dl.data(), want_dl, 400 * epsilon<T>());
        for (size_t i = 0; i < size; ++i) {
          if (want_y[i] == 0) {
            REQUIRE(y[i] == T(0));
            REQUIRE(dx[i] == T(0));
          }
        }
      }
    }
  }
}

TEST_CASE("softmax of infinities and NaN", "[rows]") {
  const float inf = std::numeric_limits<float>::infinity();
  const float bad = std::numeric_limits<float>::quiet_NaN();
  for (size_t n : {3u, 20u, 70u}) {
    std::vector<float> x(3 * n, -inf), y(3 * n);
    x[1] = 4;  // row 0: one finite
    for (size_t j = 0; j < n; ++j) x[2 * n + j] = float(j);
    x[2 * n + 1] = bad;  // row 2: a NaN among numbers
    SoftmaxForward<float> s{x.data(), y.data(), int64_t(n)};
    kernels<RowKernels>().f32.softmax(s, 0, 3);
    CHECK(y[1] == 1.f);
    CHECK(y[0] == 0.f);
    for (size_t j = 0; j < n; ++j) CHECK(y[n + j] == 0.f);
    for (size_t j = 0; j < n; ++j) CHECK(std::isnan(y[2 * n + j]));
    // In place.
    kernels<RowKernels>().f32.softmax({x.data(), x.data(), int64_t(n)}, 0, 1);
    CHECK(x[1] == 1.f);
    // Far from 0 nothing overflows.
    std::vector<float> far(n, 3e38f), z(n);
    kernels<RowKernels>().f32.softmax({far.data(), z.data(), int64_t(n)}, 0, 1);
    CHECK(z[0] == Approx(1.0 / double(n)));
  }
}

TEMPLATE_TEST_CASE("layer_norm and rms_norm, forward and backward", "[rows]", float, double) {
  using T = TestType;
  for (size_t n : widths) {
    for (int centred = 0; centred < 2; ++centred) {
      for (int affine = 0; affine < 2; ++affine) {
        const size_t count = 37;  // more than two blocks, the last one short
        const size_t size = count * n;
        auto values = random_values<T>(size, unsigned(n));
        for (T& v : values) v += T(2);
        Guarded<T> x(values), y(size), dy(random_values<T>(size, 2)), dx(size);
        Guarded<T> gamma(random_values<T>(n, 3)), beta(random_values<T>(n, 4));
        Guarded<T> mean(count), rstd(count), dgamma(n), dbeta(n);
        const T small = T(1e-5);
        const size_t blocks = size_t(norm_blocks(int64_t(count)));
        REQUIRE(blocks == 3);
        Guarded<T> partial(blocks * 2 * n);
        const NormForward<T> forward{x.data(),
                                     y.data(),
                                     affine ? gamma.data() : nullptr,
                                     affine ? beta.data() : nullptr,
                                     mean.data(),
                                     rstd.data(),
                                     int64_t(n),
                                     small};
        const NormBackward<T> backward{x.data(),
                                       dy.data(),
                                       dx.data(),
                                       affine ? gamma.data() : nullptr,
                                       mean.data(),
                                       rstd.data(),
                                       partial.data(),
                                       dgamma.data(),
                                       centred ? dbeta.data() : nullptr,
                                       int64_t(count),
                                       int64_t(n)};
        const RowFunctions<T>& f = rows<T>();
        (centred ? f.layer_norm : f.rms_norm)(forward, 0, 10);
        (centred ? f.layer_norm : f.rms_norm)(forward, 10, int64_t(count));
        (centred ? f.layer_norm_backward : f.rms_norm_backward)(backward, 1, int64_t(blocks));
        (centred ? f.layer_norm_backward : f.rms_norm_backward)(backward, 0, 1);
        f.norm_combine(backward, 0, int64_t(n) / 2);
        f.norm_combine(backward, int64_t(n) / 2, int64_t(n));

        std::vector<double> want_y, want_dx(size), want_dgamma(n, 0.0), want_dbeta(n, 0.0);
        double largest = 1;
        for (size_t r = 0; r < count; ++r) {
          std::vector<double> normal(n);
          const double scale = reference::normalise(int64_t(n), x.data() + r * n, double(small),
                                                    centred != 0, normal.data());
          // A row of one element has variance 0: its scale is large, and so is what rounding does.
          largest = std::max(largest, scale);
          reference::normalise_backward(int64_t(n), normal.data(), scale, dy.data() + r * n,
                                        affine ? gamma.data() : nullptr, centred != 0,
                                        &want_dx[r * n]);
          for (size_t j = 0; j < n; ++j) {
            want_dgamma[j] += double(dy[r * n + j]) * normal[j];
            want_dbeta[j] += double(dy[r * n + j]);
            want_y.push_back(normal[j] * (affine ? double(gamma[j]) : 1) +
                             (affine && centred ? double(beta[j]) : 0));
          }
        }
        // Some ten roundings of numbers of up to 10, times rstd; sums over 37 rows on top.
        const double tolerance = 50 * epsilon<T>() * largest;
        check_near(y.data(), want_y, tolerance);
        check_near(dx.data(), want_dx, tolerance * largest);
        check_near(dgamma.data(), want_dgamma, 10 * tolerance);
        if (centred) check_near(dbeta.data(), want_dbeta, 10 * tolerance);
        if (!affine) {
          // Without the parameters' gradients, and in place of dy.
          const auto dx_before = dx.values();
          NormBackward<T> only = backward;
          only.partial = only.dgamma = only.dbeta = nullptr;
          only.dx = dy.data();
          (centred ? f.layer_norm_backward : f.rms_norm_backward)(only, 0, int64_t(blocks));
          REQUIRE(dy.values() == dx_before);
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("gradients written past the caches have the same bits", "[rows]", float,
                   double) {
  using T = TestType;
  constexpr size_t count = 37, guard = 64 / sizeof(T);
  // Aligned rows of whole vectors, rows with a rest, and rows that begin off a vector.
  for (const auto& [width, offset] :
       {std::pair<size_t, size_t>{64, 0}, {80, 0}, {72, 0}, {65, 0}, {3, 0}, {64, 1}}) {
    const size_t n = width;  // a lambda of clang++ 14 takes no part of a pair
    INFO("rows of " << n << ", off by " << offset);
    const size_t size = count * n;
    const auto x = random_values<T>(size, 1), dy = random_values<T>(size, 2),
               gamma = random_values<T>(n, 3);
    std::vector<T> y(size), mean(count), rstd(count), partial(size_t(norm_blocks(count)) * 2 * n);
    rows<T>().softmax({x.data(), y.data(), int64_t(n)}, 0, count);
    std::vector<T> normed(size);
    rows<T>().layer_norm(
        {x.data(), normed.data(), nullptr, nullptr, mean.data(), rstd.data(), int64_t(n), T(1e-5)},
        0, count);
    T* const memory =
        static_cast<T*>(std::aligned_alloc(64, (2 * guard + size) * sizeof(T) / 64 * 64 + 64));
    T* const dx = memory + guard + offset;
    const auto gradients = [&](bool norm, bool streaming) {
      std::fill_n(memory, 2 * guard + size, T(7));
      if (norm) {
        NormBackward<T> b{x.data(),    dy.data(),      dx,      gamma.data(), mean.data(),
                          rstd.data(), partial.data(), nullptr, nullptr,      count,
                          int64_t(n)};
        b.streaming = streaming;
        rows<T>().layer_norm_backward(b, 0, norm_blocks(count));
      } else {
        SoftmaxBackward<T> b{y.data(), dy.data(), dx, int64_t(n), T(0.5)};
        b.streaming = streaming;
        rows<T>().softmax_backward(b, 0, count);
      }
      return std::vector<T>(memory, memory + 2 * guard + size);  // with what stands around dx
    };
    for (const bool norm : {false, true}) CHECK(gradients(norm, true) == gradients(norm, false));
    std::free(memory);
  }
}

TEST_CASE("parameter gradients are cut into blocks of a bounded number of rows", "[rows]") {
  CHECK(norm_blocks(0) == 0);
  CHECK(norm_blocks(1) == 1);
  CHECK(norm_blocks(4096) == 256);
  CHECK(norm_blocks(4097) <= 256);
  CHECK(norm_block_rows(32769) == 128);
  CHECK(norm_block_rows(1000003) == 128);
}

TEMPLATE_TEST_CASE("cross_entropy, forward and backward", "[rows]", float, double) {
  using T = TestType;
  for (size_t n : widths) {
    for (double smoothing : {0.0, 0.1, 1.0}) {
      for (int weighted = 0; weighted < 2; ++weighted) {
        const size_t count = 6;
        Guarded<T> x(random_values<T>(count * n, unsigned(n), 4)), dx(count * n);
        std::vector<T> some_weights = random_values<T>(n, 5);
        for (T& w : some_weights) w = std::fabs(w) + T(0.1);
        Guarded<T> weights(some_weights), loss(count), weight(count);
        Guarded<T> largest(count), log_sum(count);
        Guarded<int32_t> labels(count);
        for (size_t r = 0; r < count; ++r) labels[r] = int32_t((r * 7 + 3) % n);
        labels[2] = -7;  // ignored
        const T* w = weighted ? weights.data() : nullptr;
        const CrossEntropy<T> forward{x.data(),      labels.data(), w,
                                      int64_t(n),    T(smoothing),  -7,
                                      loss.data(),   weight.data(), largest.data(),
                                      log_sum.data()};
        REQUIRE(rows<T>().cross_entropy(forward, 0, 4) == -1);
        REQUIRE(rows<T>().cross_entropy(forward, 4, int64_t(count)) == -1);
        const std::vector<T> up{T(0.5), T(-1), T(2), T(1), T(3), T(0.25)};
        Guarded<T> grad(up);
        CrossEntropyBackward<T> backward{
            x.data(),       labels.data(),  w,           int64_t(n), T(smoothing), -7,
            largest.data(), log_sum.data(), grad.data(), 1,          dx.data()};
        rows<T>().cross_entropy_backward(backward, 0, 3);
        rows<T>().cross_entropy_backward(backward, 3, int64_t(count));

        std::vector<double> want_loss(count, 0), want_weight(count, 0), want_dx(count * n, 0);
        for (size_t r = 0; r < count; ++r) {
          if (labels[r] == -7) continue;
          double l = 0;
          want_loss[r] = reference::cross_entropy(int64_t(n), x.data() + r * n, labels[r], w,
                                                  smoothing, l, &want_dx[r * n]);
          want_weight[r] = weighted ? double(weights[labels[r]]) : 1.0;
          for (size_t j = 0; j < n; ++j) want_dx[r * n + j] *= double(up[r]);
          REQUIRE(double(largest[r]) == *std::max_element(&x[r * n], &x[r * n] + n));
          REQUIRE(double(largest[r]) + double(log_sum[r]) ==
                  Approx(l).epsilon(10 * epsilon<T>()).margin(10 * epsilon<T>()));
        }
        // Differences of logits of up to about 20 round to 20 epsilon; so does p, relatively.
        check_near(loss.data(), want_loss, 100 * epsilon<T>());
        check_near(weight.data(), want_weight, 0);
        check_near(dx.data(), want_dx, 100 * epsilon<T>());

        // One upstream gradient for all rows, and the gradient in the logits' place.
        const T one = T(0.5);
        backward.grad = &one;
        backward.grad_stride = 0;
        Guarded<T> dense(count * n);
        backward.dlogits = dense.data();
        rows<T>().cross_entropy_backward(backward, 0, int64_t(count));
        for (size_t j = 0; j < n; ++j) REQUIRE(dense[j] == dx[j]);
        const auto before = dense.values();
        backward.dlogits = x.data();
        rows<T>().cross_entropy_backward(backward, 0, int64_t(count));
        REQUIRE(x.values() == before);
      }
    }
  }
}

TEST_CASE("labels out of range are reported, not read", "[rows]") {
  const std::vector<float> x(12, 1.f);
  std::vector<float> loss(4), largest(4), log_sum(4), dx(12, 7.f);
  const float one = 1;
  for (int32_t bad : {-1, 3, 2000000000, -100}) {
    const std::vector<int32_t> labels{0, 2, bad, 3};
    CrossEntropy<float> s{x.data(), labels.data(),  nullptr,       3, 0.1f, -100, loss.data(),
                          nullptr,  largest.data(), log_sum.data()};
    CHECK(kernels<RowKernels>().f32.cross_entropy(s, 0, 4) == (bad == -100 ? 3 : 2));
    CHECK(kernels<RowKernels>().f32.cross_entropy(s, 0, 2) == -1);
    CHECK(loss[3] == 0.f);
    CrossEntropyBackward<float> b{x.data(),       labels.data(),  nullptr, 3, 0.1f,     -100,
                                  largest.data(), log_sum.data(), &one,    0, dx.data()};
    kernels<RowKernels>().f32.cross_entropy_backward(b, 0, 4);
    CHECK(dx[9] == 0.f);
  }
  CrossEntropy<float> none{nullptr, nullptr, nullptr, 3,       0.f,
                           -100,    nullptr, nullptr, nullptr, nullptr};
  CHECK(kernels<RowKernels>().f32.cross_entropy(none, 0, 0) == -1);
}
