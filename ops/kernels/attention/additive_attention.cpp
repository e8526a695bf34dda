// Additive attention, forward and backward, fused per query.
//
// The forward pass loops over the queries. For each query it computes the scores of all visible
// keys as v . tanh(query + key), then their softmax, and then the weighted sum of the memory. The
// backward pass loops over the sentences and, inside, over the queries in order. It first computes
// the gradients of the weights and scores, then recomputes tanh for each key and accumulates the
// gradients. Recomputing tanh costs less than storing [B, T, A] values. A sentence is one unit of
// work because the gradients of its keys and memory are sums over its queries. reference.hpp says
// what is computed.
#include "ops/kernels/attention/additive_attention.hpp"

#include "ops/kernels/simd/math.hpp"
#include "ops/kernels/simd/row_loop.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

template <class T>
T* at(const Sequences<T>& s, int64_t b, int64_t t) {
  return s.data == nullptr ? nullptr : s.data + b * s.batch + t * s.time;
}

template <class T>
T* row_of(const OfPairs<T>& pairs, int64_t b, int64_t q) {
  return pairs.data == nullptr ? nullptr : pairs.data + b * pairs.batch + q * pairs.query;
}

/// The keys that one query sees, and the bias that is added to their scores.
template <class T>
struct Seen {
  int64_t end;          // Keys from here on are not visible.
  const uint8_t* keep;  // May be null.
  int64_t keep_step;
  const T* bias;  // May be null.
  int64_t bias_step;

  bool operator()(int64_t t) const {
    if (keep != nullptr && keep[t * keep_step] == 0) return false;
    return bias == nullptr || bias[t * bias_step] > -__builtin_huge_val();
  }
  T added(int64_t t) const { return bias == nullptr ? T(0) : bias[t * bias_step]; }
};

template <class T>
Seen<T> seen_keys(const AdditiveAttention<T>& in, int64_t b, int64_t q) {
  int64_t end = in.keys;
  if (in.lengths != nullptr && in.lengths[b] < end) end = in.lengths[b] < 0 ? 0 : in.lengths[b];
  return {end, row_of(in.keep, b, q), in.keep.key, row_of(in.bias, b, q), in.bias.key};
}

template <class T>
void set_zero(T* p, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = T(0);
}

/// Turns the scores of visible keys into weights. All other weights become zero.
template <class T>
void softmax_seen(const Seen<T>& seen, int64_t keys, T* weights) {
  bool any = false;
  T largest = T(0);
  for (int64_t t = 0; t < seen.end; ++t) {
    if (!seen(t)) continue;
    if (!any || weights[t] > largest) largest = weights[t];
    any = true;
  }
  if (!any) return set_zero(weights, keys);
  const Vec<T> shift(largest);
  for_each_vector<T>(seen.end, [&](int64_t t, auto access) {
    access.put(weights + t, exp(access.get(weights + t) - shift));
  });
  set_zero(weights + seen.end, keys - seen.end);
  T sum = T(0);
  for (int64_t t = 0; t < seen.end; ++t) {
    if (!seen(t)) weights[t] = T(0);
    sum += weights[t];
  }
  const T factor = T(1) / sum;
  for (int64_t t = 0; t < seen.end; ++t) weights[t] *= factor;
}

/// Computes context = sum over t of weights[t] * memory[t], four rows of the memory at a time. Rows
/// of weight zero are not read, because padding may hold any values.
template <class T>
void weigh(const AdditiveAttention<T>& in, int64_t b, int64_t end, const T* weights, T* context) {
  const int64_t M = in.memory_width;
  set_zero(context, M);
  int64_t t = 0;
  while (t < end) {
    const T* row[4];
    T weight[4];
    int found = 0;
    for (; t < end && found < 4; ++t) {
      if (weights[t] == T(0)) continue;
      row[found] = at(in.memory, b, t);
      weight[found++] = weights[t];
    }
    if (found == 4) {
      for_each_vector<T>(M, [&](int64_t m, auto access) {
        Vec<T> sum = access.get(context + m);
        for (int i = 0; i < 4; ++i) {
          sum = multiply_add(Vec<T>(weight[i]), access.get(row[i] + m), sum);
        }
        access.put(context + m, sum);
      });
    } else {
      for (int i = 0; i < found; ++i) {
        for_each_vector<T>(M, [&](int64_t m, auto access) {
          access.put(context + m, multiply_add(Vec<T>(weight[i]), access.get(row[i] + m),
                                               access.get(context + m)));
        });
      }
    }
  }
}

template <class T>
void forward(const AdditiveForward<T>& a, int64_t begin, int64_t end) {
  const AdditiveAttention<T>& in = a.in;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t b = i / in.queries;
    const int64_t q = i % in.queries;
    const Seen<T> seen = seen_keys(in, b, q);
    const T* query = at(in.query, b, q);
    T* weights = at(a.weights, b, q);
    for (int64_t t = 0; t < seen.end; ++t) {
      weights[t] = T(0);
      if (!seen(t)) continue;
      const T* key = at(in.key, b, t);
      Vec<T> score(T(0));
      for_each_vector<T>(in.width, [&](int64_t j, auto access) {
        // Past the row's end all three are zero, and tanh(0) contributes nothing.
        score = multiply_add(access.get(in.v + j),
                             tanh(access.get(query + j) + access.get(key + j)), score);
      });
      weights[t] = sum_lanes(score) + seen.added(t);
    }
    softmax_seen(seen, in.keys, weights);
    if (a.context.data != nullptr) weigh(in, b, seen.end, weights, at(a.context, b, q));
  }
}

/// Computes the gradients of one query's weights, and adds weight * grad_context to grad_memory.
template <class T>
void weight_gradients(const AdditiveBackward<T>& a, int64_t b, int64_t q, const Seen<T>& seen,
                      T* grad) {
  const T* weights = at(a.weights, b, q);
  const T* grad_context = at(a.grad_context, b, q);
  const T* grad_weights = at(a.grad_weights, b, q);
  for (int64_t t = 0; t < seen.end; ++t) {
    grad[t] = T(0);
    if (!seen(t)) continue;
    if (grad_context != nullptr) {
      const T* memory = at(a.in.memory, b, t);
      T* grad_memory = at(a.grad_memory, b, t);
      const Vec<T> weight(weights[t]);
      Vec<T> dot(T(0));
      for_each_vector<T>(a.in.memory_width, [&](int64_t m, auto access) {
        const Vec<T> d = access.get(grad_context + m);
        dot = multiply_add(d, access.get(memory + m), dot);
        if (grad_memory != nullptr) {
          access.put(grad_memory + m, multiply_add(weight, d, access.get(grad_memory + m)));
        }
      });
      grad[t] = sum_lanes(dot);
    }
    if (grad_weights != nullptr) grad[t] += grad_weights[t];
  }
}

/// Turns gradients of the weights into gradients of the scores: w (dw - sum w dw).
template <class T>
void score_gradients(const T* weights, int64_t n, T* grad) {
  T mean = T(0);
  for (int64_t t = 0; t < n; ++t) mean += weights[t] * grad[t];
  for (int64_t t = 0; t < n; ++t) grad[t] = weights[t] * (grad[t] - mean);
}

template <class T>
void backward_query(const AdditiveBackward<T>& a, int64_t b, int64_t q, const Seen<T>& seen,
                    T* scratch) {
  const AdditiveAttention<T>& in = a.in;
  const T* query = at(in.query, b, q);
  T* grad_query = at(a.grad_query, b, q);
  T* grad_v = a.grad_v_parts == nullptr ? nullptr : a.grad_v_parts + b * in.width;
  if (grad_query != nullptr) set_zero(grad_query, in.width);
  weight_gradients(a, b, q, seen, scratch);
  score_gradients<T>(at(a.weights, b, q), seen.end, scratch);
  if (T* grad_bias = row_of(a.grad_bias, b, q); grad_bias != nullptr) {
    for (int64_t t = 0; t < in.keys; ++t) {
      grad_bias[t * a.grad_bias.key] = t < seen.end ? scratch[t] : T(0);
    }
  }
  const Vec<T> one(T(1));
  for (int64_t t = 0; t < seen.end; ++t) {
    if (!seen(t)) continue;
    const T* key = at(in.key, b, t);
    T* grad_key = at(a.grad_key, b, t);
    const Vec<T> d(scratch[t]);
    for_each_vector<T>(in.width, [&](int64_t j, auto access) {
      // score = sum v tanh(query + key)
      const Vec<T> y = tanh(access.get(query + j) + access.get(key + j));
      const Vec<T> d_sum = d * access.get(in.v + j) * (one - y * y);
      if (grad_key != nullptr) access.put(grad_key + j, access.get(grad_key + j) + d_sum);
      if (grad_query != nullptr) access.put(grad_query + j, access.get(grad_query + j) + d_sum);
      if (grad_v != nullptr) access.put(grad_v + j, multiply_add(d, y, access.get(grad_v + j)));
    });
  }
}

template <class T>
void backward(const AdditiveBackward<T>& a, int64_t begin, int64_t end, T* scratch) {
  const AdditiveAttention<T>& in = a.in;
  for (int64_t b = begin; b < end; ++b) {
    for (int64_t t = 0; t < in.keys; ++t) {
      if (a.grad_key.data != nullptr && !a.add_key) set_zero(at(a.grad_key, b, t), in.width);
      if (a.grad_memory.data != nullptr && !a.add_memory) {
        set_zero(at(a.grad_memory, b, t), in.memory_width);
      }
    }
    if (a.grad_v_parts != nullptr && !a.add_v) set_zero(a.grad_v_parts + b * in.width, in.width);
    for (int64_t q = 0; q < in.queries; ++q) {
      backward_query(a, b, q, seen_keys(in, b, q), scratch);
    }
  }
}

template <class T>
void sum_parts(const T* parts, int64_t batch, int64_t width, T* out, bool add, int64_t begin,
               int64_t end) {
  out += begin;
  if (!add) set_zero(out, end - begin);
  for (int64_t b = 0; b < batch; ++b) {
    const T* part = parts + b * width + begin;
    for (int64_t j = 0; j < end - begin; ++j) out[j] += part[j];
  }
}

template <class T>
constexpr AdditiveAttentionKernels<T> additive_kernels = {forward<T>, backward<T>, sum_parts<T>};

}  // namespace

const AdditiveAttentionTable table_AdditiveAttentionTable = {additive_kernels<float>,
                                                             additive_kernels<double>};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
