// The counter-based bits: the vector code gives what the scalar code gives, and both look random.
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "framework/core/random_bits.hpp"
#include "ops/kernels/elementwise/pointwise.hpp"
#include "tests/support/catch.hpp"

using rapt::random_bits;

namespace {

// Which of elements begin .. begin + n - 1 of a space of `size` points the dropout kernel keeps.
template <class T>
std::vector<bool> kept(uint64_t key0, uint64_t key1, double p, int64_t begin, int64_t n) {
  using namespace rapt::kernels;
  constexpr ElementType type = sizeof(T) == 4 ? ElementType::f32 : ElementType::f64;
  const Instruction instruction{Code::dropout, 1, 0, 0, 0};
  const PointwiseOperand input{type, {0}, 0};
  // Steps of 0 before, so that a far-away range needs no memory of that length.
  const PointwiseOperand output{type, {0, 1}, 1};
  const int64_t rows = (begin + n) / 4096 + 1;
  const PointwiseProgram program{&instruction, 1, 2, &input, 1, &output, 1, {2, {rows, 4096}}};
  const DropoutParameters parameters{key0, key1, p};
  const T one = 1;
  std::vector<T> y(4096);
  std::vector<bool> result;
  const void* in[1] = {&one};
  void* out[1] = {y.data()};
  for (int64_t i = begin; i < begin + n;) {
    const int64_t end = std::min((i / 4096 + 1) * 4096, begin + n);
    const auto run = [&] {
      if constexpr (sizeof(T) == 4) {
        return kernels<PointwiseKernels>().run_f32;
      } else {
        return kernels<PointwiseKernels>().run_f64;
      }
    }();
    run(program, {in, out, &parameters}, i, end);
    for (; i < end; ++i) result.push_back(y[size_t(i % 4096)] != T(0));
  }
  return result;
}

// Chi-square of counts against equal shares, in standard deviations from its mean.
double chi_square_deviation(const std::vector<int>& counts, double total) {
  const double share = total / double(counts.size());
  double sum = 0;
  for (int c : counts) sum += (c - share) * (c - share) / share;
  const double freedom = double(counts.size() - 1);
  return (sum - freedom) / std::sqrt(2 * freedom);
}

constexpr int samples = 1 << 18;

// All statistics below are fixed numbers, not drawn anew: 5 deviations would be one in 3 million.
constexpr double deviations = 5;

}  // namespace

TEST_CASE("the bits are what they were", "[random]") {
  // Checkpoints and tests rely on them; a change here changes every run.
  static_assert(random_bits(0, 0, 0) != random_bits(0, 0, 1));
  CHECK(random_bits(0, 0, 0) == 0x815d8461u);
  CHECK(random_bits(1, 2, 3) == 0xb6b9ecbbu);
  CHECK(random_bits(0x123456789abcdef0u, 0xfedcba9876543210u, uint64_t(1) << 40) == 0xd01804b7u);
}

TEMPLATE_TEST_CASE("vectors and scalars agree", "[random]", float, double) {
  const uint64_t far = (uint64_t(1) << 32);
  for (uint64_t begin : {uint64_t(0), uint64_t(5), uint64_t(4090), far - 37, far, 3 * far - 1}) {
    for (double p : {0.25, 0.5, 0.9}) {
      const auto k = kept<TestType>(77, begin ^ 1234567, p, int64_t(begin), 150);
      for (size_t i = 0; i < k.size(); ++i) {
        INFO("element " << begin + i << ", p " << p);
        REQUIRE(k[i] ==
                (random_bits(77, begin ^ 1234567, begin + i) >= rapt::dropout_threshold(p)));
      }
    }
  }
}

TEST_CASE("bits are uniform", "[random]") {
  for (uint64_t key : {uint64_t(0), uint64_t(1), ~uint64_t(0)}) {
    for (int shift : {0, 8, 16, 24}) {
      std::vector<int> counts(256);
      for (int i = 0; i < samples; ++i) ++counts[(random_bits(key, 9, uint64_t(i)) >> shift) & 255];
      CHECK(std::fabs(chi_square_deviation(counts, samples)) < deviations);
    }
  }
}

TEST_CASE("neighbours are independent", "[random]") {
  // Pairs of the top, and of the bottom, four bits of elements some distance apart.
  for (uint64_t distance : {1u, 2u, 8u, 64u, 512u, 4096u}) {
    for (int shift : {0, 28}) {
      std::vector<int> counts(256);
      for (int i = 0; i < samples; ++i) {
        const uint32_t a = random_bits(3, 4, uint64_t(i)) >> shift & 15;
        const uint32_t b = random_bits(3, 4, uint64_t(i) + distance) >> shift & 15;
        ++counts[a * 16 + b];
      }
      CHECK(std::fabs(chi_square_deviation(counts, samples)) < deviations);
    }
  }
}

TEST_CASE("keys that differ in one bit give unrelated arrays", "[random]") {
  constexpr int n = 4096;
  for (int bit = 0; bit < 128; ++bit) {
    const uint64_t key0 = bit < 64 ? uint64_t(1) << bit : 0;
    const uint64_t key1 = bit < 64 ? 0 : uint64_t(1) << (bit - 64);
    std::array<int, 32> equal{};
    for (int i = 0; i < n; ++i) {
      const uint32_t same =
          ~(random_bits(10, 20, uint64_t(i)) ^ random_bits(10 ^ key0, 20 ^ key1, uint64_t(i)));
      for (size_t b = 0; b < 32; ++b) equal[b] += int(same >> b & 1);
    }
    // Each bit agrees half of the time; 32 x 128 such counts, so a little more room.
    for (int e : equal) REQUIRE(std::fabs(e - n / 2) < 6 * std::sqrt(n) / 2);
  }
}

TEST_CASE("one bit of the index changes half of the bits", "[random]") {
  constexpr int n = 2048;
  for (int bit = 0; bit < 64; ++bit) {
    std::array<int, 32> flips{};
    for (int i = 0; i < n; ++i) {
      const uint64_t index = uint64_t(i) * 0x9e3779b97f4a7c15u;
      const uint32_t d = random_bits(5, 6, index) ^ random_bits(5, 6, index ^ (uint64_t(1) << bit));
      for (size_t b = 0; b < 32; ++b) flips[b] += int(d >> b & 1);
    }
    for (int f : flips) REQUIRE(std::fabs(f - n / 2) < 6 * std::sqrt(n) / 2);
  }
}
