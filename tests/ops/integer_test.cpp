// int32: arithmetic modulo 2^32 whatever is fused or asked for, conversions, and places and counts
// that int32 cannot hold.
#include <limits>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/convolution/pooling.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/top_k.hpp"
#include "ops/shape/gather.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;

constexpr int32_t lowest = std::numeric_limits<int32_t>::min();
constexpr int32_t highest = std::numeric_limits<int32_t>::max();

int32_t wrapped(int64_t x) { return static_cast<int32_t>(static_cast<uint32_t>(x & 0xffffffff)); }
int32_t product(int32_t a, int32_t b) { return wrapped(int64_t{a} * int64_t{b}); }
int32_t quotient(int32_t a, int32_t b) { return b == 0 ? 0 : wrapped(int64_t{a} / int64_t{b}); }

std::vector<int32_t> numbers(size_t n) {
  std::vector<int32_t> x{0, 1, -1, 2, -3, 46341, 65536, -65536, 65537, lowest, highest, 1 << 30};
  for (uint64_t i = x.size(); i < n; ++i) {
    x.push_back(wrapped(static_cast<int64_t>(i * 0x9e3779b97f4a7c15u >> 20)));
  }
  x.resize(n);
  return x;
}

}  // namespace

TEST_CASE("int32 arithmetic does not depend on what is fused or asked for") {
  // Lengths with and without a rest of a vector, of one block and of several.
  for (const size_t n : std::initializer_list<size_t>{1, 3, 12, 64, 1000, 5003}) {
    std::vector<int32_t> a = numbers(n), b = numbers(n), want;
    std::reverse(b.begin(), b.end());
    for (size_t i = 0; i < n; ++i) {
      const int32_t p = product(a[i], a[i]);
      const int32_t sum = wrapped(int64_t{p} + b[i]), left = wrapped(int64_t{sum} - 2147483600);
      const int32_t turned = wrapped(-int64_t{left}), size = wrapped(std::abs(int64_t{turned}));
      want.push_back(quotient(product(size, b[i]), a[i]));
    }
    for (const bool fuse : {false, true}) {
      for (const bool ask : {false, true}) {
        Executor executor({.fuse = fuse});
        const Executor::Use use(executor);
        Tape tape;
        const Shape shape{static_cast<int64_t>(n)};
        const Var x = as_var(tensor(a, shape)), y = as_var(tensor(b, shape));
        const Var p = square(x);
        if (ask) (void)p.value();
        const Var left = p + y - 2147483600;
        const Var size = abs(-left);
        if (ask) (void)size.value();
        const Var all = size * y / x;
        INFO("n " << n << ", fuse " << fuse << ", ask " << ask);
        CHECK(all.value().to_vector<int32_t>() == want);
        // What leaves int32 sees the number that memory would hold.
        const Var real = cast(x * x, DType::float64);
        std::vector<double> squares;
        for (const int32_t v : a) squares.push_back(static_cast<double>(product(v, v)));
        CHECK(real.value().to_vector<double>() == squares);
      }
    }
  }
}

TEST_CASE("int32 division, powers and conversions at their edges") {
  Tape tape;
  const auto of = [](const std::vector<int32_t>& x) {
    return as_var(tensor(x, {static_cast<int64_t>(x.size())}));
  };
  CHECK((of({7, -7, 0, lowest, lowest, -7, 5}) / of({0, 0, 0, 0, -1, 2, -3}))
            .value()
            .to_vector<int32_t>() == std::vector<int32_t>{0, 0, 0, 0, lowest, -3, -1});
  CHECK(pow(of({2, 3, 65536, 0, 0, -1, 2, 7}), of({31, 21, 2, 0, -1, -3, -1, 11}))
            .value()
            .to_vector<int32_t>() ==
        std::vector<int32_t>{lowest, wrapped(10460353203), 0, 1, 0, -1, 0, 1977326743});
  // -1 / 2 is 0 and not -0, which 1 / x would show.
  CHECK((1.0 / cast(of({-1}) / 2, DType::float64)).item() ==
        std::numeric_limits<double>::infinity());

  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> reals{1.9, -1.9, 3e9, -3e9, inf, -inf, std::nan(""), 2147483647.};
  const std::vector<int32_t> whole{1, -1, highest, lowest, highest, lowest, 0, highest};
  const Tensor x = tensor(reals, {8});
  CHECK(cast(x, DType::int32).value().to_vector<int32_t>() == whole);
  CHECK(x.to(DType::int32).to_vector<int32_t>() == whole);
  CHECK(x.to(DType::float32).to(DType::int32).to_vector<int32_t>() == whole);
  // In the middle of a fused chain too.
  CHECK((cast(x, DType::int32) * 2).value().to_vector<int32_t>() ==
        std::vector<int32_t>{2, -2, -2, 0, -2, 0, 0, -2});

  CHECK_THROWS_WITH(full({2}, 1e30, DType::int32), Contains("full: int32 cannot hold 1e+30"));
  CHECK_THROWS_WITH(full({2}, std::nan(""), DType::int32), Contains("full: int32 cannot hold nan"));
  CHECK_THROWS_AS(full({}, 2147483648., DType::int32), Error);
  CHECK(full({}, -2147483648., DType::int32).item() == -2147483648.);
}

TEST_CASE("int32 sums are modulo 2^32") {
  Tape tape;
  const Var x = as_var(tensor(std::vector<int32_t>{1 << 30, 1 << 30, 1 << 30, 1}, {4}));
  CHECK(sum(x).item() == -1073741823);
  CHECK(cumsum(x, 0).value().to_vector<int32_t>() ==
        std::vector<int32_t>{1 << 30, lowest, -1073741824, -1073741823});
  const Var zero = as_var(zeros({2}, DType::int32)), places = as_var(zeros({4}, DType::int32));
  CHECK(scatter_add(zero, 0, places, x).value().to_vector<int32_t>() ==
        std::vector<int32_t>{-1073741823, 0});
}

TEST_CASE("places and counts beyond int32 are errors that name the axis") {
  // Views of one element: nothing of that size is ever in memory.
  const int64_t n = (int64_t{1} << 31) + 1;
  Tape tape;
  const Var row = broadcast_to(as_var(zeros({1, 1})), {2, n});
  CHECK_THROWS_WITH(argmax(row, 1),
                    Contains("argmax: axis 1 of [2, 2147483649] has more places than int32 can "
                             "count; at integer_test.cpp"));
  CHECK_NOTHROW(argmax(row, 0));
  CHECK_THROWS_WITH(top_k(row, 1), Contains("top_k: axis 1 of [2, 2147483649] has more places"));
  CHECK_NOTHROW(argmax(broadcast_to(as_var(zeros({1})), {n - 1}), 0));
  CHECK_THROWS_WITH(max_pool1d(row, {.kernel = 2}), Contains("have more places than int32"));
  CHECK_THROWS_WITH(one_hot(zeros({1}, DType::int32), n), Contains("one_hot: the depth"));
  const Var yes = broadcast_to(as_var(full({1, 1}, 1, DType::boolean)), {2, n});
  CHECK_THROWS_WITH(sum(yes, 1), Contains("sum: axis 1 of [2, 2147483649] has more booleans than "
                                          "int32 can count"));
  CHECK_THROWS_WITH(cumsum(yes, 1), Contains("cumsum: axis 1 of [2, 2147483649] has more"));
  CHECK_NOTHROW(sum(yes, 0));
}

}  // namespace rapt
