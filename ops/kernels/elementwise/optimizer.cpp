// Optimizer updates, each in one pass over memory.
//
// Parameter, gradient and state are read once, updated in registers and written once. All elements
// are independent. Arrays are prefetched because several streams run at the same time. Sums of
// squares add short pieces in T with four accumulators and add the pieces in double. Pieces of
// floats whose squares overflow or underflow are recomputed in double. reference.hpp says what is
// computed.
#include "ops/kernels/elementwise/optimizer.hpp"

#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/row_loop.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

template <class T>
Vec<T> all(double number) {
  return Vec<T>(static_cast<T>(number));
}

/// The factor of the gradient, split into two. If gradients are near 1e38, the factor may be too
/// small for T itself.
template <class T>
struct Scale {
  Vec<T> first, second;

  explicit Scale(const double* scale) : first(T(1)), second(T(1)) {
    const double factor = scale == nullptr ? 1 : *scale;
    const bool small = factor > 0 && factor < 0x1p-100;
    first = all<T>(small ? 0x1p-64 : 1);
    second = all<T>(small ? factor * 0x1p64 : factor);
  }
  Vec<T> of(const Vec<T>& gradient) const { return gradient * first * second; }
};

template <class T>
void sgd(const SgdUpdate<T>& u, int64_t begin, int64_t end) {
  const SgdNumbers& n = *u.numbers;
  const Scale<T> scale(u.scale);
  const Vec<T> decay = all<T>(n.decay), minus_lr = all<T>(-n.lr);
  const Vec<T> momentum = all<T>(n.momentum);
  const auto gradient = [&](int64_t j, auto access, const Vec<T>& p) {
    return multiply_add(decay, p, scale.of(access.get(u.gradient + j)));
  };
  T* parameter = u.parameter;
  if (u.velocity == nullptr) {
    for_each_vector<T>(end - begin, [&](int64_t i, auto access) {
      const int64_t j = begin + i;
      const Vec<T> p = access.get(parameter + j);
      access.put(parameter + j, multiply_add(minus_lr, gradient(j, access, p), p));
    });
    return;
  }
  const bool nesterov = n.nesterov != 0;
  const Ahead<T> ahead;
  for_each_vector<T>(end - begin, [&](int64_t i, auto access) {
    const int64_t j = begin + i;
    ahead(parameter + j);
    ahead(u.velocity + j);
    ahead(u.gradient + j);
    const Vec<T> p = access.get(parameter + j);
    const Vec<T> g = gradient(j, access, p);
    const Vec<T> velocity = multiply_add(momentum, access.get(u.velocity + j), g);
    const Vec<T> direction = nesterov ? multiply_add(momentum, velocity, g) : velocity;
    access.put(u.velocity + j, velocity);
    access.put(parameter + j, multiply_add(minus_lr, direction, p));
  });
}

template <class T>
void adam(const AdamUpdate<T>& u, int64_t begin, int64_t end) {
  const AdamNumbers& n = *u.numbers;
  const Scale<T> scale(u.scale);
  const Vec<T> decay = all<T>(n.decay), shrink = all<T>(n.shrink);
  const Vec<T> rest1 = all<T>(1 - n.beta1), beta2 = all<T>(n.beta2), rest2 = all<T>(1 - n.beta2);
  const Vec<T> minus_step = all<T>(-n.step), root = all<T>(n.root), eps = all<T>(n.eps);
  const Ahead<T> ahead;
  for_each_vector<T>(end - begin, [&](int64_t i, auto access) {
    const int64_t j = begin + i;
    ahead(u.parameter + j);
    ahead(u.gradient + j);
    ahead(u.mean + j);
    ahead(u.variance + j);
    const Vec<T> p = access.get(u.parameter + j) * shrink;
    const Vec<T> g = multiply_add(decay, p, scale.of(access.get(u.gradient + j)));
    const Vec<T> old_mean = access.get(u.mean + j);
    const Vec<T> mean = multiply_add(rest1, g - old_mean, old_mean);
    const Vec<T> variance = multiply_add(beta2, access.get(u.variance + j), rest2 * (g * g));
    const Vec<T> deviation = multiply_add(xsimd::sqrt(variance), root, eps);
    access.put(u.mean + j, mean);
    access.put(u.variance + j, variance);
    access.put(u.parameter + j, multiply_add(minus_step, mean / deviation, p));
  });
}

template <class T>
void accumulate(T* sum, const T* x, int64_t begin, int64_t end) {
  for_each_vector<T>(end - begin, [&](int64_t i, auto access) {
    access.put(sum + begin + i, access.get(sum + begin + i) + access.get(x + begin + i));
  });
}

template <class T>
void average(T* mean, const T* x, double decay, int64_t begin, int64_t end) {
  const Vec<T> rest = all<T>(1 - decay);
  for_each_vector<T>(end - begin, [&](int64_t i, auto access) {
    const Vec<T> old = access.get(mean + begin + i);
    access.put(mean + begin + i, multiply_add(rest, access.get(x + begin + i) - old, old));
  });
}

/// Computes the same in double, for floats whose squares are outside the range of float.
inline double wide_sum_of_squares(const float* x, int64_t n) {
  constexpr int64_t strands = 8;
  double sums[strands] = {};
  int64_t i = 0;
  for (; i + strands <= n; i += strands) {
    for (int64_t s = 0; s < strands; ++s)
      sums[s] += static_cast<double>(x[i + s]) * static_cast<double>(x[i + s]);
  }
  double total = 0;
  for (; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  for (const double sum : sums) total += sum;
  return total;
}

template <class T>
double sum_of_squares(const T* x, int64_t begin, int64_t end) {
  // Take short sums in T and add them in double, because a long sum in float would lose digits.
  constexpr int64_t strands = 4, block = 64 * strands * lanes<T>;
  double total = 0;
  for (int64_t first = begin; first < end; first += block) {
    const int64_t n = smaller(end - first, block);
    const T* p = x + first;
    Vec<T> a(T(0)), b(T(0)), c(T(0)), d(T(0));
    int64_t i = 0;
    for (; i + strands * lanes<T> <= n; i += strands * lanes<T>) {
      const Vec<T> x0 = load(p + i), x1 = load(p + i + lanes<T>);
      const Vec<T> x2 = load(p + i + 2 * lanes<T>), x3 = load(p + i + 3 * lanes<T>);
      a = multiply_add(x0, x0, a);
      b = multiply_add(x1, x1, b);
      c = multiply_add(x2, x2, c);
      d = multiply_add(x3, x3, d);
    }
    for_each_vector<T>(n - i, [&](int64_t j, auto access) {
      const Vec<T> v = access.get(p + i + j);
      a = multiply_add(v, v, a);
    });
    const auto sum = static_cast<double>(sum_lanes((a + b) + (c + d)));
    if constexpr (sizeof(T) == 4) {
      // Below 1e-28, the digits that squares lost as denormal numbers may matter.
      total += sum > 1e-28 && sum < 1e38 ? sum : wide_sum_of_squares(p, n);
    } else {
      total += sum;
    }
  }
  return total;
}

template <class T>
constexpr OptimizerFunctions<T> functions = {sgd<T>, adam<T>, accumulate<T>, average<T>,
                                             sum_of_squares<T>};

}  // namespace

const OptimizerKernels table_OptimizerKernels = {functions<float>, functions<double>};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
