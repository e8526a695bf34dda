#include <rapt/ops/kernels/cached_attention.hpp>
#include <rapt/ops/kernels/math.hpp>
#include <rapt/ops/kernels/row_reduce.hpp>

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

/// One query's way through the cache.
template <class T>
struct Path {
  const CachedRows<T>& in;
  const int32_t* rows;
  int64_t step;

  const T* at(int64_t t) const { return in.data + rows[t * step] * in.row + t * in.time; }
};

/// scores[i] = scale * q . key of t + i, for n neighbouring keys whose loads overlap.
template <int n, class T>
void score_keys(const T* q, const Path<T>& keys, int64_t t, int64_t depth, T scale, T* scores) {
  const T* key[n];
  Vec<T> sum[n];
  for (int i = 0; i < n; ++i) {
    key[i] = keys.at(t + i);
    sum[i] = Vec<T>(T(0));
  }
  for_each_vector<T>(depth, [&](int64_t j, auto access) {
    const Vec<T> x = access.get(q + j);
    for (int i = 0; i < n; ++i) sum[i] = multiply_add(x, access.get(key[i] + j), sum[i]);
  });
  for (int i = 0; i < n; ++i) scores[t + i] = sum_lanes(sum[i]) * scale;
}

/// Turns scores into exp(score - largest) and returns the sum of these.
template <class T>
T exponentials(T* scores, int64_t n) {
  Accumulators<T> largest(-std::numeric_limits<T>::infinity());
  over_row<T>(n, [&](int64_t j, auto access, int slot) {
    const T least = -std::numeric_limits<T>::infinity();
    largest.of[slot] = xsimd::max(largest.of[slot], get(access, scores + j, least));
  });
  const Vec<T> shift(largest.max());
  Accumulators<T> sum(T(0));
  over_row<T>(n, [&](int64_t j, auto access, int slot) {
    const T least = -std::numeric_limits<T>::infinity();
    const Vec<T> e = exp(get(access, scores + j, least) - shift);
    access.put(scores + j, e);
    sum.of[slot] = sum.of[slot] + e;
  });
  return sum.sum();
}

/// out[j ..] = factor * sum over t of weights[t] * values[t][j ..], for n neighbouring vectors.
template <int n, class T, class Access>
void weigh(const T* weights, const Path<T>& values, int64_t count, T factor, int64_t j,
           Access access, T* out) {
  Vec<T> sum[n];
  for (int i = 0; i < n; ++i) sum[i] = Vec<T>(T(0));
  for (int64_t t = 0; t < count; ++t) {
    const T* value = values.at(t) + j;
    const Vec<T> w(weights[t]);
    for (int i = 0; i < n; ++i) {
      sum[i] = multiply_add(w, access.get(value + i * lanes<T>), sum[i]);
    }
  }
  for (int i = 0; i < n; ++i) access.put(out + j + i * lanes<T>, sum[i] * Vec<T>(factor));
}

template <class T>
void forward(const CachedAttention<T>& a, int64_t begin, int64_t end, T* scores) {
  constexpr int64_t L = lanes<T>;
  for (int64_t item = begin; item < end; ++item) {
    const int64_t r = item / a.heads, h = item % a.heads;
    const int32_t* rows = a.rows + r / a.width * a.row_stride;
    int64_t count = a.count;
    if (a.lengths != nullptr && a.lengths[rows[0]] < count) count = a.lengths[rows[0]];
    const CachedRows<T> keys{a.keys.data + h / a.group * a.keys.head, a.keys.row, a.keys.time, 0};
    const CachedRows<T> values{a.values.data + h / a.group * a.values.head, a.values.row,
                               a.values.time, 0};
    T* out = a.out + item * a.value_depth;
    if (count <= 0) {
      for (int64_t j = 0; j < a.value_depth; ++j) out[j] = T(0);
      continue;
    }
    const T* q = a.q + r * a.q_row + h * a.q_head;
    const Path<T> key_path{keys, rows, a.row_step}, value_path{values, rows, a.row_step};
    int64_t t = 0;
    for (; t + 4 <= count; t += 4) score_keys<4>(q, key_path, t, a.depth, a.scale, scores);
    for (; t < count; ++t) score_keys<1>(q, key_path, t, a.depth, a.scale, scores);
    if (a.bias != nullptr) {
      const T* bias = a.bias + h * a.bias_head;
      for_each_vector<T>(count, [&](int64_t j, auto access) {
        access.put(scores + j, access.get(scores + j) + access.get(bias + j));
      });
    }
    const T factor = T(1) / exponentials(scores, count);
    int64_t j = 0;
    for (; j + 4 * L <= a.value_depth; j += 4 * L) {
      weigh<4>(scores, value_path, count, factor, j, Whole{}, out);
    }
    for (; j + L <= a.value_depth; j += L) {
      weigh<1>(scores, value_path, count, factor, j, Whole{}, out);
    }
    if (j < a.value_depth) {
      weigh<1>(scores, value_path, count, factor, j, Last{a.value_depth - j}, out);
    }
  }
}

}  // namespace

const CachedAttentionTable table_CachedAttentionTable = {{forward<float>}, {forward<double>}};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
