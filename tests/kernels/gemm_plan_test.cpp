// How a matrix product is cut up: the table of choose(), and what holds for every plan.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "ops/kernels/gemm/gemm.hpp"
#include "tests/support/catch.hpp"

using namespace rapt::kernels;

namespace {

enum class Order { rows, columns, neither };

/// A product whose operands lie as told. The pointers are null.
template <class T = float>
Gemm<T> product(int64_t m, int64_t n, int64_t k, Order a = Order::rows, Order b = Order::rows,
                int64_t batch = 1) {
  Gemm<T> g;
  g.m = m, g.n = n, g.k = k, g.c_row = n, g.batch = batch;
  g.a_batch = m * k, g.b_batch = k * n, g.c_batch = m * n;
  const auto strides = [](Order order, int64_t rows, int64_t columns, int64_t& row, int64_t& col) {
    row = order == Order::rows ? columns : order == Order::columns ? 1 : 2 * columns;
    col = order == Order::rows ? 1 : order == Order::columns ? rows : 2;
  };
  strides(a, m, k, g.a_row, g.a_col);
  strides(b, k, n, g.b_row, g.b_col);
  return g;
}

std::string describe(const Gemm<float>& g, const GemmPlan& plan) {
  const char* const forms[] = {"tiles", "packed", "dots", "dots_packed", "row"};
  const auto number = [](const char* name, int64_t x) { return name + std::to_string(x); };
  return number("", g.m) + number(" x ", g.n) + number(" x ", g.k) +
         number(", strides of A ", g.a_row) + number(", ", g.a_col) + number(", of B ", g.b_row) +
         number(", ", g.b_col) + number(", batch ", g.batch) + ": " +
         forms[static_cast<int>(plan.form)] + number(", pack_a ", plan.pack_a) +
         number(", rest ", plan.rest) + number(", row blocks ", plan.row_blocks) +
         number(", panels ", plan.panels) + number(", blocks of k ", plan.k_blocks) +
         number(", tasks ", plan.tasks) + " = " + number("", plan.row_tasks) +
         number(" x ", plan.panel_tasks) + number(" or items ", plan.task_items);
}

/// How often run() writes each element of C, over all tasks, and how many elements each task has.
struct Written {
  explicit Written(Gemm<float> g) {
    const auto size = [](int64_t n) { return static_cast<size_t>(n); };
    const std::vector<float> a(size(2 * g.m * g.k * g.batch), 1),
        b(size(2 * g.k * g.n * g.batch), 1);
    std::vector<float> c(size(g.m * g.n * g.batch));
    g.a = a.data(), g.b = b.data(), g.c = c.data();
    const GemmPlan plan = plan_gemm(g);
    std::vector<float> scratch(plan.scratch_bytes / sizeof(float) + 16);
    times.resize(c.size());
    for (int64_t task = 0; task < plan.tasks; ++task) {
      std::fill(c.begin(), c.end(), std::numeric_limits<float>::quiet_NaN());
      run_gemm(g, plan, scratch.data(), task, task + 1);
      int64_t count = 0;
      for (size_t i = 0; i < c.size(); ++i) {
        if (std::isnan(c[i])) continue;
        right = right && c[i] == static_cast<float>(g.k);
        ++times[i];
        ++count;
      }
      elements.push_back(count);
    }
  }
  std::vector<int> times;
  std::vector<int64_t> elements;
  bool right = true;
};

const std::vector<Gemm<float>>& products() {
  static const std::vector<Gemm<float>> all = [] {
    std::vector<Gemm<float>> list;
    for (const Order a : {Order::rows, Order::columns, Order::neither}) {
      for (const Order b : {Order::rows, Order::columns, Order::neither}) {
        for (const auto& [m, n, k] : {std::tuple{1, 1, 1},
                                      {64, 64, 64},
                                      {100, 100, 100},
                                      {33, 97, 300},
                                      {5, 700, 1200},
                                      {700, 5, 1200},
                                      {1, 3000, 900},
                                      {3000, 1, 900},
                                      {1024, 1024, 64},
                                      {768, 272, 128},
                                      {300, 1030, 70}}) {
          list.push_back(product(m, n, k, a, b));
        }
        list.push_back(product(30, 40, 20, a, b, 70));
        list.push_back(product(200, 300, 60, a, b, 3));
      }
    }
    return list;
  }();
  return all;
}

}  // namespace

TEST_CASE("gemm: the form of each line of choose()'s table", "[gemm]") {
  using enum GemmPlan::Form;
  using enum Order;
  const auto form = [](const Gemm<float>& g) {
    const GemmPlan plan = plan_gemm(g);
    UNSCOPED_INFO(describe(g, plan));
    return plan.form;
  };
  Gemm<float> shared = product(8, 64, 64);
  shared.b_packed = true;
  CHECK(form(shared) == packed);
  CHECK(form(product(40, 40, 0)) == tiles);
  CHECK(form(product(50, 3, 40, rows, columns)) == dots);
  CHECK(form(product(4, 50, 40, rows, columns)) == dots);
  CHECK(form(product(16, 50, 256, rows, columns)) == dots);
  CHECK(form(product(16, 50, 255, rows, columns)) == packed);
  CHECK(form(product(16, 3, 40, rows, rows)) == dots_packed);
  CHECK(form(product(15, 3, 40, rows, rows)) == tiles);
  CHECK(form(product(17, 50, 40, rows, columns)) == packed);
  CHECK(form(product(17, 50, 40, rows, neither)) == packed);
  CHECK(form(product(17, 50, 40, columns, columns)) == packed);
  CHECK(form(product(1, 50, 40)) == row);
  CHECK(form(product(50, 1, 40)) == dots);  // A lone column whose elements are adjacent is a row.
  CHECK(form(product(128, 128, 40)) == packed);
  CHECK(form(product(64, 129, 40)) == packed);  // Rows of B straddle cache lines.
  CHECK(form(product(63, 129, 40)) == tiles);
  CHECK(form(product(128, 127, 40)) == tiles);
}

TEST_CASE("gemm: A is packed where reading it in place would be slow", "[gemm]") {
  using enum Order;
  CHECK_FALSE(plan_gemm(product(1024, 1024, 1024)).pack_a);
  CHECK(plan_gemm(product(30, 40, 20, neither)).pack_a);
  CHECK_FALSE(plan_gemm(product(1, 40, 20, neither)).pack_a);
  CHECK_FALSE(plan_gemm(product(64, 64, 64, columns)).pack_a);  // fits into L1
  CHECK(plan_gemm(product(1024, 1024, 1024, columns)).pack_a);
}

TEST_CASE("gemm: each element is computed by one task, and tasks are alike", "[gemm]") {
  for (const Gemm<float>& g : products()) {
    const GemmPlan plan = plan_gemm(g);
    INFO(describe(g, plan));
    const Written written(g);
    CHECK(written.right);
    CHECK(std::all_of(written.times.begin(), written.times.end(), [](int t) { return t == 1; }));
    REQUIRE(!written.elements.empty());
    // At worst a task has three panels beside one that has two, of which one is cut short. The last
    // task of whole items may have fewer of them.
    const auto end = written.elements.end() - (plan.task_items > 1 ? 1 : 0);
    const int64_t largest = *std::max_element(written.elements.begin(), written.elements.end());
    for (auto at = written.elements.begin(); at != end; ++at) CHECK(2 * largest <= 5 * *at);
  }
}

TEST_CASE("gemm: a product has a task, large ones many, small ones share one", "[gemm]") {
  CHECK(plan_gemm(product(0, 64, 64)).tasks == 0);
  CHECK(plan_gemm(product(64, 0, 64)).tasks == 0);
  for (const Gemm<float>& g : products()) {
    const GemmPlan plan = plan_gemm(g);
    INFO(describe(g, plan));
    const double work = double(std::max<int64_t>(g.m, 8)) * double(std::max<int64_t>(g.n, 8)) *
                        double(std::max<int64_t>(g.k, 8)) * double(g.batch);
    CHECK(plan.tasks >= 1);
    CHECK((plan.tasks == 1 || work / double(plan.tasks) >= 1 << 20));
  }
  CHECK(plan_gemm(product(1024, 1024, 1024)).tasks >= 16);
  CHECK(plan_gemm(product(16, 16, 16, Order::rows, Order::rows, 10000)).tasks >= 8);
}

TEST_CASE("gemm: tiles that read both operands in place need no scratch", "[gemm]") {
  for (const Gemm<float>& g : products()) {
    const GemmPlan plan = plan_gemm(g);
    INFO(describe(g, plan));
    const bool in_place = (plan.form == GemmPlan::Form::tiles ||
                           plan.form == GemmPlan::Form::dots || plan.form == GemmPlan::Form::row) &&
                          !plan.pack_a && plan.rest == 0;
    CHECK((plan.scratch_bytes == 0) == in_place);
  }
}

TEST_CASE("gemm: last columns are only computed apart beside whole vectors", "[gemm]") {
  for (const Order a : {Order::rows, Order::columns}) {
    for (int64_t n = 16; n <= 300; ++n) {
      const Gemm<float> g = product(100, n, 100, a);
      const GemmPlan plan = plan_gemm(g);
      INFO(describe(g, plan));
      CHECK((n - plan.rest) % 4 == (plan.rest > 0 ? 0 : n % 4));
      CHECK(plan.rest <= 4);
      CHECK((plan.rest == 0 || plan.row_tasks * plan.panel_tasks == 1));
    }
  }
}

TEST_CASE("gemm: half of the tasks are whole rows", "[gemm]") {
  Gemm<float> g = product(1024, 256, 256);
  const std::vector<float> a(static_cast<size_t>(g.m * g.k), 1.f), b(a.begin(), a.begin() + 65536);
  std::vector<float> c(static_cast<size_t>(g.m * g.n), -1.f);
  g.a = a.data(), g.b = b.data(), g.c = c.data();
  const GemmPlan plan = plan_gemm(g);
  REQUIRE(plan.row_tasks > 1);
  REQUIRE(plan.panel_tasks > 1);
  std::vector<float> scratch(plan.scratch_bytes / sizeof(float) + 16);
  run_gemm(g, plan, scratch.data(), 0, plan.tasks / 2);
  int64_t written = 0;
  for (int64_t i = 0; i < g.m; ++i) {
    const auto row = c.begin() + i * g.n;
    const auto there = std::count(row, row + g.n, 256.f);
    CHECK((there == 0 || there == g.n));
    written += there == g.n ? 1 : 0;
  }
  CHECK(written > g.m / 4);
  CHECK(written < g.m * 3 / 4);
}

TEST_CASE("gemm: calls for threads leave none idle, and none has too little work", "[gemm]") {
  for (const Gemm<float>& g : products()) {
    const GemmPlan plan = plan_gemm(g);
    const double operations = 2.0 * double(g.m) * double(g.n) * double(g.k) * double(g.batch);
    for (const int64_t repeats : {1, 3, 100}) {
      for (const int threads : {1, 2, 3, 8, 1000}) {
        INFO(describe(g, plan) << ", " << repeats << " times on " << threads << " threads");
        const int64_t calls = calls_for(g, plan, repeats, threads), all = plan.tasks * repeats;
        CHECK(calls >= 1);
        CHECK(calls <= std::min<int64_t>(all, 2 * threads));
        CHECK((threads > 1 || calls == 1));
        // 15 microseconds of arithmetic are some 2^20 operations; fewer only if there are fewer.
        const double each = operations * double(repeats) / double(calls);
        CHECK((calls == 1 || each >= 1 << 19));
        CHECK((calls >= std::min<int64_t>(all, threads) || each < 1 << 22));
      }
    }
  }
}
