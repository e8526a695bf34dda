// Attention of single queries to cached keys and values, for beam search and decoding.
//
// For each query row, all its heads are processed together. The kernel computes the scores of all
// keys, then their softmax, and then the weighted sum of the values. Keys and values are visited
// four at a time, so that their cache misses overlap, and all heads use them while they are in the
// cache. Scores are stored as [keys, heads]. The softmax thus works on one head per lane and needs
// no reduction across lanes.
#include "ops/kernels/attention/cached_attention.hpp"

#include <limits>

#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/math.hpp"
#include "ops/kernels/simd/row_loop.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

/// Number of keys or values whose loads overlap.
constexpr int64_t block = 4;

/// Addresses of the keys (or values) t to t + block - 1 of one row. Beyond the last one, its
/// address is repeated.
template <class T>
struct Block {
  const T* at[block];

  Block(const CachedRows<T>& in, const int32_t* rows, int64_t step, int64_t t, int64_t count) {
    for (int64_t i = 0; i < block; ++i) {
      const int64_t time = t + i < count ? t + i : count - 1;
      at[i] = in.data + rows[time * step] * in.row + time * in.time;
    }
  }
};

/// Computes scores[t][h] = scale * q[h] . key[t] + bias[h][t]. All heads use a key while it is in
/// the cache.
template <class T>
void score_keys(const CachedAttention<T>& a, const T* q, const int32_t* rows, int64_t head,
                int64_t heads, int64_t count, T* scores) {
  for (int64_t t = 0; t < count; t += block) {
    const Block<T> keys(a.keys, rows, a.row_step, t, count);
    const int64_t there = smaller(count - t, block);
    for (int64_t h = 0; h < heads; ++h) {
      const T* query = q + h * a.q_head;
      const int64_t offset = (head + h) / a.group * a.keys.head;
      Vec<T> sum[block];
      for (int64_t i = 0; i < block; ++i) sum[i] = Vec<T>(T(0));
      for_each_vector<T>(a.depth, [&](int64_t j, auto access) {
        const Vec<T> x = access.get(query + j);
        for (int64_t i = 0; i < block; ++i) {
          sum[i] = multiply_add(x, access.get(keys.at[i] + offset + j), sum[i]);
        }
      });
      const T* bias = a.bias == nullptr ? nullptr : a.bias + (head + h) * a.bias_head + t;
      for (int64_t i = 0; i < there; ++i) {
        const T score = sum_lanes(sum[i]) * a.scale;
        scores[(t + i) * heads + h] = bias == nullptr ? score : score + bias[i];
      }
    }
  }
}

/// Computes the softmax over t of [count][heads] with one head per lane, so no reduction across
/// lanes is needed. A head whose scores are all -inf gets zeros.
template <class T>
void softmax_columns(T* scores, int64_t heads, int64_t count) {
  for_each_vector<T>(heads, [&](int64_t h, auto access) {
    Vec<T> largest = access.get(scores + h);
    for (int64_t t = 1; t < count; ++t) {
      largest = xsimd::max(largest, access.get(scores + t * heads + h));
    }
    const Vec<T> zero(T(0)), hidden(-std::numeric_limits<T>::infinity());
    const Vec<T> base = xsimd::select(largest == hidden, zero, largest);
    Vec<T> sum(T(0));
    for (int64_t t = 0; t < count; ++t) {
      const Vec<T> e = exp(access.get(scores + t * heads + h) - base);
      access.put(scores + t * heads + h, e);
      sum = sum + e;
    }
    const Vec<T> factor = xsimd::select(sum == zero, zero, Vec<T>(T(1)) / sum);
    for (int64_t t = 0; t < count; ++t) {
      access.put(scores + t * heads + h, access.get(scores + t * heads + h) * factor);
    }
  });
}

/// Computes out[h] = sum over t of weights[t][h] * value[t].
template <class T>
void weigh_values(const CachedAttention<T>& a, const int32_t* rows, int64_t head, int64_t heads,
                  int64_t count, const T* weights, T* out) {
  for (int64_t t = 0; t < count; t += block) {
    const Block<T> values(a.values, rows, a.row_step, t, count);
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t offset = (head + h) / a.group * a.values.head;
      Vec<T> weight[block];
      for (int64_t i = 0; i < block; ++i) {
        weight[i] = Vec<T>(t + i < count ? weights[(t + i) * heads + h] : T(0));
      }
      T* to = out + h * a.value_depth;
      for_each_vector<T>(a.value_depth, [&](int64_t j, auto access) {
        Vec<T> sum = t == 0 ? Vec<T>(T(0)) : access.get(to + j);
        for (int64_t i = 0; i < block; ++i) {
          sum = multiply_add(weight[i], access.get(values.at[i] + offset + j), sum);
        }
        access.put(to + j, sum);
      });
    }
  }
}

template <class T>
void forward(const CachedAttention<T>& a, int64_t begin, int64_t end, T* scores) {
  int64_t heads = 0;
  for (int64_t item = begin; item < end; item += heads) {
    const int64_t r = item / a.heads, head = item % a.heads;
    heads = a.heads - head < end - item ? a.heads - head : end - item;
    const int32_t* rows = a.rows + r / a.width * a.row_stride;
    int64_t count = a.count;
    if (a.lengths != nullptr && a.lengths[rows[0]] < count) count = a.lengths[rows[0]];
    T* out = a.out + item * a.value_depth;
    if (count <= 0) {
      for (int64_t j = 0; j < heads * a.value_depth; ++j) out[j] = T(0);
      continue;
    }
    score_keys(a, a.q + r * a.q_row + head * a.q_head, rows, head, heads, count, scores);
    softmax_columns(scores, heads, count);
    weigh_values(a, rows, head, heads, count, scores, out);
  }
}

}  // namespace

const CachedAttentionTable table_CachedAttentionTable = {{forward<float>}, {forward<double>}};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
