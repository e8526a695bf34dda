// How a matrix product is cut up.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "framework/core/cpu.hpp"
#include "ops/kernels/gemm/gemm.hpp"
#include "tests/support/catch.hpp"

using namespace rapt::kernels;

TEST_CASE("gemm: plans", "[gemm]") {
  Gemm<float> g;
  g.m = g.n = g.k = 64;
  g.a_row = g.b_row = g.c_row = 64;
  CHECK(plan_gemm(g).tasks == 1);
  CHECK(plan_gemm(g).scratch_bytes == 0);
  g.m = 0;
  CHECK(plan_gemm(g).tasks == 0);
  g.m = g.n = g.k = g.a_row = g.b_row = g.c_row = 1024;
  CHECK(plan_gemm(g).tasks >= 16);
  g.m = 1;
  CHECK(plan_gemm(g).tasks >= 2);
  g = {};
  g.m = g.n = g.k = g.a_row = g.b_row = g.c_row = 16;
  g.batch = 10000;
  g.a_batch = g.b_batch = g.c_batch = 256;
  CHECK(plan_gemm(g).tasks >= 8);
  CHECK(plan_gemm(g).tasks <= 100);
}

TEST_CASE("gemm: a few columns beside whole vectors are done by themselves", "[gemm]") {
  const int64_t some = rapt::active_isa() == rapt::Isa::avx512 ? 4 : 0;
  for (const bool transposed : {false, true}) {
    Gemm<float> g;
    g.m = g.n = g.k = g.b_row = g.c_row = 100;
    g.a_row = transposed ? 1 : 100;
    g.a_col = transposed ? 100 : 1;
    CHECK(plan_gemm(g).rest == some);
    g.n = 96;
    CHECK(plan_gemm(g).rest == 0);
    g.n = 101;
    CHECK(plan_gemm(g).rest == 0);
  }
}

TEST_CASE("gemm: tasks have the same number of panels, or many", "[gemm]") {
  Gemm<float> g;
  g.m = 768;
  g.k = 128;
  for (g.n = 16; g.n <= 1024; g.n += 16) {
    for (const bool transposed : {false, true}) {
      g.a_row = g.k;
      g.c_row = g.n;
      g.b_row = transposed ? 1 : g.n;
      g.b_col = transposed ? g.k : 1;
      const GemmPlan plan = plan_gemm(g);
      INFO("n " << g.n << ": " << plan.panels << " panels for " << plan.panel_tasks << " tasks");
      CHECK((plan.panel_tasks == plan.panels || 2 * plan.panel_tasks <= plan.panels));
    }
  }
}

TEST_CASE("gemm: half of the tasks are whole rows", "[gemm]") {
  Gemm<float> g;
  g.m = 1024;
  g.n = g.k = g.a_row = g.b_row = g.c_row = 256;
  const std::vector<float> a(static_cast<size_t>(g.m * g.k), 1.f), b(a.begin(), a.begin() + 65536);
  std::vector<float> c(static_cast<size_t>(g.m * g.n), -1.f);
  g.a = a.data();
  g.b = b.data();
  g.c = c.data();
  const GemmPlan plan = plan_gemm(g);
  REQUIRE(plan.row_tasks > 1);
  REQUIRE(plan.panel_tasks > 1);
  std::vector<std::max_align_t> scratch(plan.scratch_bytes / sizeof(std::max_align_t) + 8);
  void* memory = scratch.data();
  size_t room = scratch.size() * sizeof(std::max_align_t);
  memory = std::align(64, plan.scratch_bytes, memory, room);
  run_gemm(g, plan, memory, 0, plan.tasks / 2);
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

TEST_CASE("gemm: of threads that share a product each gets a call or two, of enough work",
          "[gemm]") {
  Gemm<float> g;
  g.m = g.n = g.k = g.a_row = g.b_row = g.c_row = 1024;
  const GemmPlan plan = plan_gemm(g);
  CHECK(calls_for(g, plan, 1, 1) == 1);
  CHECK(calls_for(g, plan, 1, 2) == 2);
  CHECK(calls_for(g, plan, 1, 3) == 6);
  CHECK(calls_for(g, plan, 1, 1000) == plan.tasks);
  CHECK(calls_for(g, plan, 3, 1000) == 3 * plan.tasks);
  g.m = g.n = g.k = g.a_row = g.b_row = g.c_row = 16;
  CHECK(calls_for(g, plan_gemm(g), 1, 2) == 1);
  CHECK(calls_for(g, plan_gemm(g), 100, 2) == 1);  // 0.8 million operations in all
}
