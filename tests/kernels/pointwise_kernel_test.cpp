// Pointwise programs: how operands lie, how ranges are cut, what the programs hold.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "framework/core/random_bits.hpp"
#include "tests/kernels/pointwise_builder.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/guarded.hpp"

using namespace rapt::test;

namespace {

const double not_a_number = std::numeric_limits<double>::quiet_NaN();

template <class T>
std::vector<T> random_values(size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<T> v(n);
  for (T& x : v) x = T(normal(random));
  return v;
}

}  // namespace

TEMPLATE_TEST_CASE("sizes and tails stay inside their arrays", "[pointwise]", float, double) {
  using T = TestType;
  for (int64_t n : {0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 100, 511, 512, 513, 1000, 4099}) {
    const size_t size = size_t(n);
    Guarded<T> x(size), y(size), z(size);
    Guarded<uint8_t> mask(size), flags(size);
    Guarded<int32_t> number(size), whole(size);
    for (size_t i = 0; i < size; ++i) {
      x[i] = T(i) - T(20);
      mask[i] = uint8_t(i % 3 == 0);
      number[i] = int32_t(i) * 5;
    }
    // y = mask ? x : number; z = y * 2 + x; flags = y > 7; whole = z
    Builder b({n});
    b.in(type_of<T>, 0).in(ElementType::b8, 1).in(ElementType::i32, 2).in(type_of<T>, 3, {0});
    b.op(Code::where, 4, 1, 0, 2).op(Code::add, 5, 4, 4).op(Code::add, 5, 5, 0);
    b.op(Code::greater, 6, 4, 3);
    b.out(type_of<T>, 4).out(type_of<T>, 5).out(ElementType::b8, 6).out(ElementType::i32, 5);
    const T seven = 7;
    b.run<T>({x.data(), mask.data(), number.data(), &seven},
             {y.data(), z.data(), flags.data(), whole.data()});
    for (size_t i = 0; i < size; ++i) {
      const T want = mask[i] ? x[i] : T(number[i]);
      REQUIRE(y[i] == want);
      REQUIRE(z[i] == 2 * want + x[i]);
      REQUIRE(flags[i] == uint8_t(want > 7));
      REQUIRE(whole[i] == int32_t(2 * want + x[i]));
    }
  }
}

TEMPLATE_TEST_CASE("strides, broadcasts and ranges do not change values", "[pointwise]", float,
                   double) {
  using T = TestType;
  const std::vector<std::vector<int64_t>> shapes{
      {1}, {3, 5}, {4, 1, 6}, {7, 130}, {5, 128}, {3, 1030}, {2, 3, 4, 5}, {50, 3}, {9, 520}};
  for (const auto& shape : shapes) {
    const size_t dims = shape.size();
    Builder b(shape);
    const size_t n = size_t(b.size());
    // x dense; row: only the last dimension; column: all but the last; turned: dimensions in
    // reverse order of memory; backwards: from the end.
    std::vector<int64_t> row(dims, 0), column(dims, 0), turned(dims, 0), backwards(dims, 0);
    row[dims - 1] = 1;
    int64_t size = 1;
    for (size_t d = 0; d < dims; ++d) {
      turned[d] = size;
      size *= shape[d];
    }
    size = 1;
    for (size_t d = dims; d-- > 0;) {
      backwards[d] = -size;
      size *= shape[d];
    }
    size = 1;
    for (size_t d = dims - 1; d-- > 0;) {
      column[d] = size;
      size *= shape[d];
    }
    const auto x = random_values<T>(n, 1), r = random_values<T>(n, 2), c = random_values<T>(n, 3),
               t = random_values<T>(n, 4), k = random_values<T>(n, 5);
    const T s = T(0.7);
    b.in(type_of<T>, 0).in(type_of<T>, 1, row).in(type_of<T>, 2, column);
    b.in(type_of<T>, 3, turned).in(type_of<T>, 4, backwards);
    b.in(type_of<T>, 5, std::vector<int64_t>(dims, 0));
    b.op(Code::mul, 6, 0, 5).op(Code::add, 7, 6, 1).op(Code::sub, 6, 7, 2).op(Code::tanh, 6, 6);
    b.op(Code::multiply_add, 8, 6, 3, 4).op(Code::copy, 9, 8);
    b.out(type_of<T>, 8).out(type_of<T>, 9, turned);
    std::vector<T> y(n), z(n);
    const std::vector<const void*> in{x.data(), r.data(), c.data(), t.data(), &k[n - 1], &s};
    b.run<T>(in, {y.data(), z.data()});
    std::vector<int64_t> at(dims, 0);
    for (size_t i = 0; i < n; ++i) {
      size_t rest = i;
      for (size_t d = dims; d-- > 0;) {
        at[d] = int64_t(rest) % shape[d];
        rest /= size_t(shape[d]);
      }
      const auto offset = [&](const std::vector<int64_t>& strides) {
        int64_t o = 0;
        for (size_t d = 0; d < dims; ++d) o += at[d] * strides[d];
        return o;
      };
      const double u = double(x[i]) * double(s) + double(r[size_t(offset(row))]) -
                       double(c[size_t(offset(column))]);
      const double want = std::tanh(u) * double(t[size_t(offset(turned))]) +
                          double(k[size_t(int64_t(n) - 1 + offset(backwards))]);
      // Five roundings, of values of up to about 8.
      REQUIRE(double(y[i]) ==
              Approx(want).margin(40 * double(std::numeric_limits<T>::epsilon())).epsilon(0));
      REQUIRE(z[size_t(offset(turned))] == y[i]);
    }
    // Any split gives the same bits.
    for (int64_t piece : {1, 5, 16, 77, 512}) {
      std::vector<int64_t> cuts;
      for (int64_t i = piece; i < int64_t(n); i += piece) cuts.push_back(i);
      std::vector<T> y2(n), z2(n);
      b.run<T>(in, {y2.data(), z2.data()}, nullptr, cuts);
      REQUIRE(std::memcmp(y.data(), y2.data(), n * sizeof(T)) == 0);
      REQUIRE(std::memcmp(z.data(), z2.data(), n * sizeof(T)) == 0);
    }
    // Nor does collapsing change them.
    Builder flat = b;
    kernels<PointwiseKernels>().collapse(flat.space, flat.inputs.data(), int(flat.inputs.size()),
                                         flat.outputs.data(), int(flat.outputs.size()));
    REQUIRE(flat.size() == b.size());
    std::vector<T> y3(n), z3(n);
    flat.run<T>(in, {y3.data(), z3.data()});
    REQUIRE(y == y3);
    REQUIRE(z == z3);
  }
}

TEST_CASE("collapse merges what runs on evenly", "[pointwise]") {
  const auto collapse = kernels<PointwiseKernels>().collapse;
  {
    Builder b({2, 1, 3, 4, 5});
    b.in(ElementType::f32, 0).in(ElementType::f32, 1, {0, 0, 0, 5, 1}).out(ElementType::f32, 2);
    collapse(b.space, b.inputs.data(), 2, b.outputs.data(), 1);
    REQUIRE(b.space.dims == 2);
    CHECK(b.space.shape[0] == 6);
    CHECK(b.space.shape[1] == 20);
    CHECK(b.inputs[0].strides[0] == 20);
    CHECK(b.inputs[1].strides[0] == 0);
    CHECK(b.inputs[1].strides[1] == 1);
  }
  {
    Builder b({7, 8});
    b.in(ElementType::f32, 0).in(ElementType::f32, 1, {0, 0}).out(ElementType::f32, 2);
    collapse(b.space, b.inputs.data(), 2, b.outputs.data(), 1);
    CHECK(b.space.dims == 1);
    CHECK(b.space.shape[0] == 56);
    CHECK(b.inputs[1].strides[0] == 0);
  }
  {
    Builder b({1, 1});
    b.in(ElementType::f32, 0).out(ElementType::f32, 0);
    collapse(b.space, b.inputs.data(), 1, b.outputs.data(), 1);
    CHECK(b.space.dims == 1);
    CHECK(b.size() == 1);
  }
}

TEMPLATE_TEST_CASE("an output may be one of the inputs", "[pointwise]", float, double) {
  using T = TestType;
  for (int64_t n : {5, 16, 1000, 4096}) {
    const auto x = random_values<T>(size_t(n), 1), y = random_values<T>(size_t(n), 2);
    {
      // x = x + y, y = x * y with the old x: the store of x has to wait for the second reading.
      auto a = x, b = y;
      Builder p({n});
      p.in(type_of<T>, 0).in(type_of<T>, 1).op(Code::add, 2, 0, 1).op(Code::mul, 3, 0, 1);
      p.out(type_of<T>, 2).out(type_of<T>, 3);
      p.template run<T>({a.data(), b.data()}, {a.data(), b.data()});
      for (size_t i = 0; i < size_t(n); ++i) {
        REQUIRE(a[i] == x[i] + y[i]);
        REQUIRE(b[i] == x[i] * y[i]);
      }
    }
    {
      // Registers used again, an input's and a scalar's among them; x itself stays as it was.
      auto a = x;
      std::vector<T> out(static_cast<size_t>(n));
      const T two = 2;
      Builder p({n});
      p.in(type_of<T>, 0).in(type_of<T>, 1, {0}).op(Code::mul, 0, 0, 1).op(Code::add, 1, 0, 1);
      p.out(type_of<T>, 1);
      p.template run<T>({a.data(), &two}, {out.data()});
      REQUIRE(a == x);
      for (size_t i = 0; i < size_t(n); ++i) REQUIRE(out[i] == x[i] * 2 + 2);
    }
    {
      // Two outputs from one register, and an output that is an input as it came.
      std::vector<T> u(static_cast<size_t>(n)), v(u), w(u);
      Builder p({n});
      p.in(type_of<T>, 0).op(Code::neg, 1, 0);
      p.out(type_of<T>, 1).out(type_of<T>, 1).out(type_of<T>, 0);
      p.template run<T>({x.data()}, {u.data(), v.data(), w.data()});
      for (size_t i = 0; i < size_t(n); ++i) REQUIRE(u[i] == -x[i]);
      REQUIRE(u == v);
      REQUIRE(w == x);
    }
  }
}

TEST_CASE("a program without instructions converts", "[pointwise]") {
  const std::vector<float> x{0.f, -1.75f, 2.5f, float(not_a_number), 1e-40f};
  std::vector<double> d(5);
  std::vector<int32_t> i(5);
  std::vector<uint8_t> m(5);
  Builder p({5});
  p.in(ElementType::f32, 0).out(ElementType::f64, 0).out(ElementType::b8, 0);
  p.run<float>({x.data()}, {d.data(), m.data()});
  CHECK(d[1] == -1.75);
  CHECK(d[4] == double(1e-40f));
  CHECK(m == std::vector<uint8_t>{0, 1, 1, 1, 1});
  const std::vector<int32_t> big{16777217, -2147483647, 3, 0, 5};
  Builder q({5});
  q.in(ElementType::i32, 0).out(ElementType::f64, 0).out(ElementType::i32, 0);
  q.run<double>({big.data()}, {d.data(), i.data()});
  CHECK(d[0] == 16777217.0);
  CHECK(i == big);
}

TEST_CASE("many registers still fit", "[pointwise]") {
  Builder p({1000});
  p.in(ElementType::f32, 0);
  for (int r = 1; r < max_registers; ++r) p.op(Code::add, r, r - 1, 0);
  p.out(ElementType::f32, max_registers - 1);
  std::vector<float> x(1000), y(1000);
  for (size_t i = 0; i < 1000; ++i) x[i] = float(i);
  p.run<float>({x.data()}, {y.data()});
  for (size_t i = 0; i < 1000; ++i) REQUIRE(y[i] == float(i) * float(max_registers));
}

TEMPLATE_TEST_CASE("dropout follows the random bits", "[pointwise]", float, double) {
  using T = TestType;
  for (double p : {0.0, 0.1, 0.5, 1.0}) {
    const int64_t n = 3 * 333;
    auto x = random_values<T>(size_t(n), 7);
    x[5] = std::numeric_limits<T>::infinity();
    std::vector<T> y(x.size()), z(x.size());
    const DropoutParameters parameters[2] = {{1, 2, 0.0}, {0x123456789abcdef0u, 42, p}};
    Builder b({3, 333});
    b.in(type_of<T>, 0).op(Code::dropout, 1, 0, 1).out(type_of<T>, 1);
    b.template run<T>({x.data()}, {y.data()}, parameters);
    b.template run<T>({x.data()}, {z.data()}, parameters, {1, 8, 100, 517, 700});
    const T scale = T(1 / (1 - p));
    int kept = 0;
    for (size_t i = 0; i < size_t(n); ++i) {
      const bool keep = rapt::random_bits(parameters[1].key0, 42, i) >= rapt::dropout_threshold(p);
      REQUIRE(y[i] == (keep ? x[i] * scale : T(0)));
      REQUIRE(z[i] == y[i]);
      kept += keep;
    }
    CHECK(std::fabs(double(kept) / double(n) - (1 - p)) < 0.06);
  }
}
