// Compares matrix products of rapt with cblas_sgemm of libraries named on the command line, on one
// core.
//
//   blas_compare [--seconds S] [--only TEXT] LIBRARY.so [LIBRARY.so ...]
//
// rapt runs as its operator does on one thread: a plan of the kernel table, executed by one call of
// run(). Scratch memory is kept between calls, and recording is not measured. For a library, a
// batch is a loop over cblas_sgemm. The contenders take turns. The clock is the thread's processor
// time. Operands stay in the caches as the last pass left them. GFLOP/s refer to each contender's
// best time. The ratio is the better library's time divided by rapt's, as the median over rounds.
// All contenders of a round meet the same clock rate and the same load by other programs.
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "framework/core/random.hpp"
#include "ops/kernels/gemm/gemm.hpp"

namespace {

using namespace rapt;

/// One product. ta, tb: the operand is stored transposed.
struct Case {
  int64_t m, n, k;
  bool ta = false, tb = false;
  int64_t batch = 1;

  bool regular() const { return m % 16 == 0 && n % 16 == 0 && k % 16 == 0; }
  double flops() const { return 2.0 * static_cast<double>(m * n) * static_cast<double>(k * batch); }
  std::string name() const {
    return fmt::format("{}{} {}x{}x{}{}", ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k,
                       batch > 1 ? fmt::format(" *{}", batch) : "");
  }
};

/// The products of a layer y = x W' with W [out, in]: forward, and the gradients of x and of W.
void add_layer(std::vector<Case>& cases, int64_t rows, int64_t in, int64_t out) {
  cases.push_back({rows, out, in, false, true});
  cases.push_back({rows, in, out, false, false});
  cases.push_back({out, in, rows, true, false});
}

void add_all(std::vector<Case>& cases, int64_t m, int64_t n, int64_t k, int64_t batch = 1) {
  cases.push_back({m, n, k, false, false, batch});
  cases.push_back({m, n, k, false, true, batch});
  cases.push_back({m, n, k, true, false, batch});
}

/// Returns the products of this library's models, and some irregular sizes.
std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const int64_t n : {64, 256, 512, 1024}) add_all(cases, n, n, n);
  add_all(cases, 32, 32, 32, 64);
  add_all(cases, 64, 64, 64, 32);
  cases.push_back({1024, 8000, 256});
  cases.push_back({64, 1536, 1280});
  for (const int64_t rows : {768, 2048}) {  // transformer
    add_layer(cases, rows, 256, 1024);
    add_layer(cases, rows, 512, 2048);
  }
  add_layer(cases, 1024, 256, 256);
  add_layer(cases, 1024, 512, 512);
  add_layer(cases, 1024, 256, 8000);
  add_layer(cases, 768, 128, 384);  // gpt
  add_layer(cases, 768, 128, 512);
  add_layer(cases, 512, 768, 2304);
  add_layer(cases, 512, 3072, 768);
  add_layer(cases, 64, 512, 1536);  // one step of a GRU, its sequence, and the vocabulary
  add_layer(cases, 1280, 256, 1536);
  add_layer(cases, 1280, 512, 4000);
  add_layer(cases, 160, 64, 128);
  cases.push_back({1, 512, 512});
  cases.push_back({1, 512, 512, false, true});
  cases.push_back({8, 64, 64, false, true});
  add_all(cases, 100, 100, 100);
  add_all(cases, 37, 129, 65);
  add_all(cases, 100, 300, 77);
  add_all(cases, 641, 255, 129);
  add_all(cases, 10, 10, 16, 64);
  add_all(cases, 50, 50, 50, 32);
  return cases;
}

using CblasSgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*,
                            int, float, float*, int);

CblasSgemm load_library(const std::string& path) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  void* const symbol = dlsym(library, "cblas_sgemm");
  if (symbol == nullptr) throw std::runtime_error(path + " has no cblas_sgemm");
  return reinterpret_cast<CblasSgemm>(symbol);
}

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<float, Free>;

Memory allocate(size_t bytes) {
  return Memory(static_cast<float*>(std::aligned_alloc(64, (bytes + 127) / 64 * 64)));
}

Memory random_floats(uint64_t seed, int64_t count) {
  const Tensor source = normal(Key{seed}, {count});
  Memory memory = allocate(static_cast<size_t>(count) * sizeof(float));
  std::ranges::copy(source.data<float>(), memory.get());
  return memory;
}

double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double seconds_of(const std::function<void()>& work, int64_t times) {
  const double start = processor_seconds();
  for (int64_t i = 0; i < times; ++i) work();
  return (processor_seconds() - start) / static_cast<double>(times);
}

struct Timing {
  std::vector<double> best;    ///< seconds of each contender's best stretch
  std::vector<double> ratios;  ///< time divided by the first contender's: medians of rounds
};

/// Lets the contenders take turns for `seconds` each, in stretches of a millisecond or one pass.
Timing take_turns(const std::vector<std::function<void()>>& contenders, double seconds) {
  constexpr double stretch = 1e-3;
  std::vector<int64_t> times;
  std::vector<std::vector<double>> ratios(contenders.size());
  Timing timing;
  for (const auto& work : contenders) {
    work();
    timing.best.push_back(seconds_of(work, 1));
    times.push_back(1 + static_cast<int64_t>(stretch / timing.best.back()));
  }
  double spent = 0;
  for (int round = 0; round < 5 || spent < seconds * static_cast<double>(contenders.size());
       ++round) {
    double first = 0;
    for (size_t i = 0; i < contenders.size(); ++i) {
      const double time = seconds_of(contenders[i], times[i]);
      if (i == 0) first = time;
      timing.best[i] = std::min(timing.best[i], time);
      ratios[i].push_back(time / first);
      spent += time * static_cast<double>(times[i]);
    }
  }
  for (auto& of : ratios) {
    std::ranges::sort(of);
    timing.ratios.push_back(of[of.size() / 2]);
  }
  return timing;
}

/// Throws if two results differ by more than rounding errors.
void check_same(const Case& product, const float* x, const float* y) {
  const double most = 1e-5 * std::sqrt(static_cast<double>(product.k)) + 1e-5;
  for (int64_t i = 0; i < product.m * product.n * product.batch; ++i) {
    if (!(std::abs(x[i] - y[i]) <= most * (1 + std::abs(y[i])))) {
      throw std::runtime_error(fmt::format("{}: element {} is {} and {}", product.name(), i,
                                           static_cast<double>(x[i]), static_cast<double>(y[i])));
    }
  }
}

/// Measures one product. rapt comes first, then the libraries.
Timing run_case(const Case& product, const std::vector<CblasSgemm>& libraries, double seconds) {
  const auto [m, n, k, ta, tb, batch] = product;
  const Memory a = random_floats(1, m * k * batch), b = random_floats(2, k * n * batch);
  const auto c_bytes = static_cast<size_t>(m * n * batch) * sizeof(float);
  const Memory c = allocate(c_bytes), expected = allocate(c_bytes);

  kernels::Gemm<float> g{.m = m, .n = n, .k = k, .a = a.get(), .b = b.get(), .c = c.get()};
  g.a_row = ta ? 1 : k;
  g.a_col = ta ? m : 1;
  g.b_row = tb ? 1 : n;
  g.b_col = tb ? k : 1;
  g.c_row = n;
  g.batch = batch;
  g.a_batch = m * k;
  g.b_batch = k * n;
  g.c_batch = m * n;
  const Memory scratch = allocate(kernels::plan_gemm(g).scratch_bytes);

  std::vector<std::function<void()>> contenders;
  contenders.push_back([&] {
    const kernels::GemmPlan plan = kernels::plan_gemm(g);
    kernels::run_gemm(g, plan, scratch.get(), 0, plan.tasks);
  });
  for (const CblasSgemm sgemm : libraries) {
    contenders.push_back([&, sgemm, m = static_cast<int>(m), n = static_cast<int>(n),
                          k = static_cast<int>(k), ta = ta, tb = tb] {
      for (int64_t item = 0; item < g.batch; ++item) {
        sgemm(101, ta ? 112 : 111, tb ? 112 : 111, m, n, k, 1, a.get() + item * g.a_batch,
              ta ? m : k, b.get() + item * g.b_batch, tb ? k : n, 0,
              expected.get() + item * g.c_batch, n);
      }
    });
  }
  Timing timing = take_turns(contenders, seconds);
  check_same(product, c.get(), expected.get());
  return timing;
}

void run(int argc, char** argv) {
  double seconds = 0.1;
  std::string only;
  std::vector<CblasSgemm> libraries;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--seconds" && i + 1 < argc) {
      seconds = std::stod(argv[++i]);
    } else if (word == "--only" && i + 1 < argc) {
      only = argv[++i];
    } else {
      libraries.push_back(load_library(word));
    }
  }
  if (libraries.empty())
    throw std::runtime_error("expected the path of a library with cblas_sgemm");

  double logs = 0;
  int count = 0;
  constexpr double none = std::numeric_limits<double>::infinity();
  double worst[2] = {none, none};  // odd, regular
  std::string worst_name[2];
  fmt::print("{:24}{:>10}{:>10}{:>8}\n", "GFLOP/s", "rapt", "library", "ratio");
  for (const Case& product : all_cases()) {
    if (product.name().find(only) == std::string::npos) continue;
    const auto [best, ratios] = run_case(product, libraries, seconds);
    const double ratio = *std::min_element(ratios.begin() + 1, ratios.end());
    fmt::print("{:24}", product.name());
    for (const double time : best) fmt::print("{:10.1f}", product.flops() / time / 1e9);
    fmt::print("{:8.2f}{}\n", ratio, product.regular() ? "" : "  odd");
    std::fflush(stdout);
    logs += std::log(ratio);
    ++count;
    if (ratio < worst[product.regular()]) {
      worst[product.regular()] = ratio;
      worst_name[product.regular()] = product.name();
    }
  }
  fmt::print("geometric mean of {}: {:.3f}; worst regular {:.2f} ({}), worst odd {:.2f} ({})\n",
             count, std::exp(logs / count), worst[1], worst_name[1], worst[0], worst_name[0]);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
