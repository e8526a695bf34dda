// How a matrix product is cut up.
#include <rapt/framework/cpu.hpp>
#include <rapt/ops/kernels/gemm.hpp>

#include "catch.hpp"

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
