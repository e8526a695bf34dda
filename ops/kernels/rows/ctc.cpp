// CTC loss, forward and backward, per utterance, in log space.
//
// The forward pass walks through time. At each step it computes the normaliser of the log-softmax,
// then the emissions of the states (labels with blanks between them), and then alpha from the
// previous step. Vectors run over the states, which do not depend on each other within a step. The
// backward pass walks back in time and computes beta, which is never stored. At each step it also
// writes the gradient of the logits: the softmax minus the share of the alignments in each label's
// states. Alpha and the normalisers are kept from the forward pass; the log-probabilities [T, V]
// are recomputed.
#include "ops/kernels/rows/ctc.hpp"

#include <limits>

#include "ops/kernels/rows/row_reduce.hpp"
#include "ops/kernels/simd/math.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();

template <class T>
void set_all(T* p, int64_t n, T value) {
  for (int64_t i = 0; i < n; ++i) p[i] = value;
}

/// Returns the maximum of a row.
template <class T>
T max_of(const T* x, int64_t n) {
  Accumulators<T> top(-infinity<T>);
  over_row<T>(n, [&](int64_t j, auto access, int slot) {
    top.of[slot] = xsimd::max(top.of[slot], get(access, x + j, -infinity<T>));
  });
  return top.max();
}

/// Turns a row of logits into log-probabilities: x - largest - log_sum. The two are stored
/// separately because a large `largest` would absorb log_sum in rounding.
template <class T>
struct Normaliser {
  T largest, log_sum;
};

/// Returns zeros if the row holds nothing but -inf. Returns NaN if x holds NaN.
template <class T>
Normaliser<T> normaliser_of(const T* x, int64_t n) {
  const T top = max_of(x, n);
  const Vec<T> base(top == -infinity<T> ? T(0) : top);
  Accumulators<T> total(T(0));
  over_row<T>(n, [&](int64_t j, auto access, int slot) {
    total.of[slot] = total.of[slot] + exp(get(access, x + j, -infinity<T>) - base);
  });
  const T sum = total.sum();
  return {base.get(0), sum == T(0) ? T(0) : log(Vec<T>(sum)).get(0)};
}

/// Computes p = exp(p) / sum(exp(p)). Also correct for large values that are close to each other.
template <class T>
void softmax_in_place(T* p, int64_t n) {
  const Vec<T> base(max_of(p, n));
  Accumulators<T> total(T(0));
  over_row<T>(n, [&](int64_t j, auto access, int slot) {
    const Vec<T> e = exp(get(access, p + j, -infinity<T>) - base);
    total.of[slot] = total.of[slot] + e;
    access.put(p + j, e);
  });
  const Vec<T> factor(T(1) / total.sum());
  for_each_vector<T>(
      n, [&](int64_t j, auto access) { access.put(p + j, access.get(p + j) * factor); });
}

/// Returns log(exp(a) + exp(b) + exp(c)). The result is -inf if all three are, and NaN if one is.
template <class T>
Vec<T> log_add(const Vec<T>& a, const Vec<T>& b, const Vec<T>& c) {
  const Vec<T> top = xsimd::max(xsimd::max(a, b), c), nothing(-infinity<T>), zero(T(0));
  const Vec<T> base = xsimd::select(top == nothing, zero, top);
  const Vec<T> sum = exp(a - base) + exp(b - base) + exp(c - base);
  return xsimd::select(sum == zero, nothing, base + log(sum));
}

/// One utterance of a batch.
template <class T>
struct Utterance {
  const T* logits;
  const int32_t* targets;
  int64_t times, labels, states;
  int32_t blank;

  Utterance(const Ctc<T>& in, int64_t b)
      : logits(in.logits + b * in.times * in.classes),
        targets(in.targets + b * in.labels),
        times(in.input_lengths[b]),
        labels(in.target_lengths[b]),
        states(2 * labels + 1),
        blank(in.blank) {}

  int32_t label(int64_t s) const { return s % 2 == 0 ? blank : targets[s / 2]; }

  /// Sets skips[s] to 0 if state s may follow state s - 2, otherwise to -inf. The blank between two
  /// states must not be skipped if they are blanks or the same label.
  void set_skips(T* skips) const {
    for (int64_t s = 0; s < states; ++s) {
      const bool may = s % 2 == 1 && s >= 3 && targets[s / 2] != targets[s / 2 - 1];
      skips[s] = may ? T(0) : -infinity<T>;
    }
  }

  /// Computes the log-probabilities of the states' labels at one time step.
  void set_emissions(const T* x, Normaliser<T> by, T* emissions) const {
    for (int64_t s = 0; s < states; ++s) emissions[s] = (x[label(s)] - by.largest) - by.log_sum;
  }
};

template <class T>
T forward_one(const CtcForward<T>& a, const Utterance<T>& u, int64_t b, T* scratch) {
  const int64_t row = a.in.row();
  T* largest = a.largest + b * a.in.times;
  T* log_sum = a.log_sum + b * a.in.times;
  T* alpha = a.alpha + b * a.in.times * row + 2;
  T* emissions = scratch;
  T* skips = scratch + row;
  u.set_skips(skips);
  set_all(alpha - 2, a.in.times * row, -infinity<T>);
  set_all(largest, a.in.times, T(0));
  set_all(log_sum, a.in.times, T(0));
  for (int64_t t = 0; t < u.times; ++t, alpha += row) {
    const T* x = u.logits + t * a.in.classes;
    const Normaliser<T> by = normaliser_of(x, a.in.classes);
    largest[t] = by.largest;
    log_sum[t] = by.log_sum;
    u.set_emissions(x, by, emissions);
    if (t == 0) {
      for (int64_t s = 0; s < 2 && s < u.states; ++s) alpha[s] = emissions[s];
      continue;
    }
    const T* before = alpha - row;
    for_each_vector<T>(u.states, [&](int64_t s, auto access) {
      const Vec<T> skipped = access.get(before + s - 2) + access.get(skips + s);
      access.put(alpha + s, log_add(access.get(before + s), access.get(before + s - 1), skipped) +
                                access.get(emissions + s));
    });
  }
  if (u.times == 0) return u.labels == 0 ? T(0) : infinity<T>;
  const T* last = alpha - row + u.states;
  return -log_add(Vec<T>(last[-1]), Vec<T>(u.labels == 0 ? -infinity<T> : last[-2]),
                  Vec<T>(-infinity<T>))
              .get(0);
}

template <class T>
void forward(const CtcForward<T>& a, int64_t begin, int64_t end, T* scratch) {
  for (int64_t b = begin; b < end; ++b) {
    a.loss[b] = forward_one(a, Utterance<T>(a.in, b), b, scratch);
  }
}

/// Let y = softmax(logits), and let g[t, s] be the share of the alignments that are in state s at
/// time t. Then d loss / d logits[t, v] = y[t, v] - sum of g[t, s] over the states s of label v
/// (equation 15). The shares are normalised by their own sum at time t. In exact arithmetic that
/// sum is p(targets).
template <class T>
void backward_one(const CtcBackward<T>& a, const Utterance<T>& u, int64_t b, T* scratch) {
  const int64_t row = a.in.row(), classes = a.in.classes;
  T* gradient = a.grad_logits + b * a.in.times * classes;
  const bool possible = a.loss[b] < infinity<T> || a.loss[b] != a.loss[b];
  const int64_t times = possible ? u.times : 0;
  set_all(gradient + times * classes, (a.in.times - times) * classes, T(0));
  T* emissions = scratch;
  T* skips = scratch + row;  // Read at s + 2, so two more elements are needed, which stay -inf.
  T* beta = scratch + 2 * row;
  T* ahead = scratch + 3 * row;  // Beta of the following time step plus its emissions.
  T* share = scratch + 4 * row;
  u.set_skips(skips);
  set_all(skips + u.states, 2, -infinity<T>);
  set_all(ahead + u.states, 2, -infinity<T>);
  set_all(beta, u.states, -infinity<T>);
  for (int64_t s = u.labels == 0 ? 0 : u.states - 2; s < u.states; ++s) beta[s] = T(0);
  const T g = a.grad_loss[b];
  for (int64_t t = times - 1; t >= 0; --t) {
    const T* x = u.logits + t * classes;
    const T* alpha = a.alpha + (b * a.in.times + t) * row + 2;
    for_each_vector<T>(u.states, [&](int64_t s, auto access) {
      access.put(share + s, access.get(alpha + s) + access.get(beta + s));
    });
    softmax_in_place(share, u.states);
    T* d = gradient + t * classes;
    const Normaliser<T> by{a.largest[b * a.in.times + t], a.log_sum[b * a.in.times + t]};
    const Vec<T> base(by.largest), log_sum(by.log_sum), factor(g);
    for_each_vector<T>(classes, [&](int64_t j, auto access) {
      access.put(d + j, factor * exp((access.get(x + j) - base) - log_sum));
    });
    for (int64_t s = 0; s < u.states; ++s) d[u.label(s)] -= g * share[s];
    if (t == 0) return;
    u.set_emissions(x, by, emissions);
    for_each_vector<T>(u.states, [&](int64_t s, auto access) {
      access.put(ahead + s, access.get(beta + s) + access.get(emissions + s));
    });
    for_each_vector<T>(u.states, [&](int64_t s, auto access) {
      const Vec<T> skipped = access.get(ahead + s + 2) + access.get(skips + s + 2);
      access.put(beta + s, log_add(access.get(ahead + s), access.get(ahead + s + 1), skipped));
    });
  }
}

template <class T>
void backward(const CtcBackward<T>& a, int64_t begin, int64_t end, T* scratch) {
  for (int64_t b = begin; b < end; ++b) backward_one(a, Utterance<T>(a.in, b), b, scratch);
}

template <class T>
constexpr CtcKernels<T> ctc_kernels = {forward<T>, backward<T>, 5};

}  // namespace

const CtcTable table_CtcTable = {ctc_kernels<float>, ctc_kernels<double>};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
