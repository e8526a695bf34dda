// Code shared by the forward and backward passes of attention: which keys a query sees, tiles of
// scores, and products that skip what no query of a group sees.
#pragma once

#include <limits>

#include "ops/kernels/attention/attention_arguments.hpp"
#include "ops/kernels/attention/score_tile.hpp"
#include "ops/kernels/gemm/gemm_dots.hpp"
#include "ops/kernels/gemm/gemm_pack.hpp"
#include "ops/kernels/gemm/gemm_tile.hpp"
#include "ops/kernels/simd/integers.hpp"
#include "ops/kernels/simd/math.hpp"
#include "ops/kernels/simd/random.hpp"
#include "ops/kernels/simd/row_loop.hpp"
#include "ops/kernels/simd/transpose.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {

// Maximum queries and keys per tile. A tile fits into L2 together with its keys and values.
inline constexpr int64_t tile_queries = 64;
inline constexpr int64_t tile_keys = 256;

// With at most this many queries, products read keys and values in place.
inline constexpr int64_t few_queries = 4;

inline constexpr double log2_e = 1.4426950408889634;
inline constexpr double ln_2 = 0.6931471805599453;

/// Returns n rounded up to whole vectors.
template <class T>
inline constexpr int64_t padded(int64_t n) {
  return round_up(n, lanes<T>);
}

/// Returns the leading dimension of a tile with n columns: an odd number of vectors. Rows a power
/// of two apart would map to few cache sets.
template <class T>
inline constexpr int64_t skewed(int64_t n) {
  return padded<T>(n) + ((padded<T>(n) / lanes<T>) % 2 == 0 ? lanes<T> : 0);
}

/// A simple arena: hands out aligned pieces of a scratch area. With a null base it only counts
/// bytes.
struct Carver {
  char* base;
  size_t used = 0;

  template <class T>
  T* take(int64_t n) {
    const size_t at = used;
    used += (static_cast<size_t>(n) * sizeof(T) + 63) / 64 * 64;
    return base == nullptr ? nullptr : reinterpret_cast<T*>(base + at);
  }
};

struct Range {
  int64_t begin, end;
};

template <class T>
inline int64_t keys_of(const Attention<T>& in, int64_t b) {
  if (in.key_lengths == nullptr) return in.keys;
  return smaller(in.keys, larger(in.key_lengths[b], 0));
}

/// Returns the keys inside query i's band, its prefix and its sentence's length. Both ends are
/// nondecreasing in i.
template <class T>
inline Range keys_seen(const Attention<T>& in, int64_t b, int64_t i) {
  const int64_t length = keys_of(in, b);
  const int64_t begin = smaller(larger(i + in.band_first, 0), length);
  int64_t end = smaller(i + in.band_last + 1, length);
  if (in.prefix != nullptr) {
    const int64_t first = in.prefix[b * in.prefix_step];
    end = smaller(end, larger(i + in.prefix_last + 1, first));
  }
  return {begin, larger(end, begin)};
}

template <class T>
inline int64_t queries_of(const Attention<T>& in, int64_t b) {
  if (in.query_lengths == nullptr) return in.queries;
  return smaller(in.queries, larger(in.query_lengths[b], 0));
}

template <class T>
inline T* at(const Heads<T>& x, int64_t b, int64_t h, int64_t t) {
  return x.data + b * x.batch + h * x.head + t * x.time;
}

template <class T>
inline void set_all(T* p, int64_t n, T value) {
  for (int64_t i = 0; i < n; ++i) p[i] = value;
}

/// Returns 0, 1, 2 ...
template <class T>
inline Vec<T> lane_numbers() {
  alignas(64) static constexpr T numbers[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                8, 9, 10, 11, 12, 13, 14, 15};
  return Vec<T>::load_aligned(numbers);
}

/// Reduces each of `group` vectors to the maximum of its lanes.
template <class T>
inline void max_groups(const Vec<T>* x, T* out) {
  reduce_groups<T>(x, out, [](const auto& a, const auto& b) { return xsimd::max(a, b); });
}

/// Copies n rows of `width` contiguous elements. The copied rows are padded with zeros to whole
/// vectors.
template <class T>
inline void copy_rows(const T* from, int64_t stride, int64_t n, int64_t width, T* to) {
  pack_panel(from, stride, int64_t{1}, n, width, to, padded<T>(width));
}

/// Transposes n > 0 rows of `width` elements into to[width, n] with leading dimension to_row.
template <class T>
inline void copy_transposed(const T* from, int64_t stride, int64_t n, int64_t width, T* to,
                            int64_t to_row) {
  constexpr int64_t L = lanes<T>;
  for (int64_t j = 0; j < n; j += L) {
    pack_columns(from + j * stride, stride, width, smaller(n - j, L), to + j, to_row);
  }
}

/// Calls body(first, rows) for groups that split m rows among as few register tiles as possible.
template <class Body>
inline void for_each_group(int64_t m, const Body& body) {
  const int64_t groups = ceil_div(m, usual_rows);
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t first = m * g / groups;
    body(first, m * (g + 1) / groups - first);
  }
}

/// Computes C[m, columns] = alpha A B for the columns `within`, which are whole vectors. Panels
/// that no row of a group sees are skipped and keep their old contents.
template <class T>
inline void multiply_seen(int64_t m, Range within, int64_t k, const T* a, int64_t a_row, const T* b,
                          int64_t b_row, T* c, int64_t c_row, T alpha, const Range* seen) {
  constexpr int64_t L = lanes<T>;
  const Finish<T> finish{alpha, T(0)};
  const int64_t most = tile_vectors(static_cast<int>(smaller(m, usual_rows))) * L;
  for (int64_t j = within.begin; j < within.end; j += most) {
    const int64_t width = smaller(within.end - j, most);
    for_each_group(m, [&](int64_t i, int64_t rows) {
      if (seen[i].begin >= j + width || seen[i + rows - 1].end <= j) return;
      tile_of<T>(ARows::rows, rows, width / L, L)(k, a + i * a_row, a_row, b + j, b_row,
                                                  c + i * c_row + j, c_row, L, finish);
    });
  }
}

/// Computes C[m, n] += A B. Each group of rows sums only over the range of k that at least one of
/// its rows has. A is contiguous in one direction. C has room for whole vectors. B is read in whole
/// vectors if b_padded.
template <class T>
inline void add_product(int64_t m, int64_t n, const T* a, int64_t a_row, int64_t a_col, const T* b,
                        int64_t b_row, bool b_padded, T* c, int64_t c_row, const Range* seen) {
  constexpr int64_t L = lanes<T>;
  const Finish<T> finish{T(1), T(1)};
  const ARows a_rows = a_col == 1 ? ARows::rows : ARows::columns;
  const int64_t end = padded<T>(n);
  const int64_t most = tile_vectors(static_cast<int>(smaller(m, usual_rows))) * L;
  for (int64_t j = 0; j < end; j += most) {
    const int64_t width = smaller(end - j, most);
    const int64_t last = b_padded || j + width <= n ? L : L - (end - n);
    for_each_group(m, [&](int64_t i, int64_t rows) {
      const Range sum{seen[i].begin, seen[i + rows - 1].end};
      if (sum.begin >= sum.end) return;
      tile_of<T>(a_rows, rows, width / L, last)(
          sum.end - sum.begin, a + i * a_row + sum.begin * a_col, a_row * a_col,
          b + sum.begin * b_row + j, b_row, c + i * c_row + j, c_row, last, finish);
    });
  }
}

/// The position of a score tile: first query, first key, head h and sentence b.
struct TilePlace {
  int64_t b, h, query, key;
};

/// Returns the minimum and maximum of n > 0 numbers.
inline Range extremes(const int32_t* x, int64_t n) {
  int32_t least = x[0], most = x[0];
  for (int64_t i = 1; i < n; ++i) {
    least = x[i] < least ? x[i] : least;
    most = x[i] > most ? x[i] : most;
  }
  return {least, most};
}

template <class T>
inline const int32_t* key_documents(const Attention<T>& in, const TilePlace& at) {
  return in.key_documents + at.b * in.key_documents_step + at.key;
}

template <class T>
inline const int32_t* query_documents(const Attention<T>& in, const TilePlace& at) {
  return in.query_documents + at.b * in.query_documents_step + at.query;
}

/// True if the documents allow some query of a tile to see some key of it. Both counts are above 0.
template <class T>
inline bool documents_meet(const Attention<T>& in, const TilePlace& at, int64_t queries,
                           int64_t keys) {
  if (in.query_documents == nullptr) return true;
  const Range q = extremes(query_documents(in, at), queries);
  const Range k = extremes(key_documents(in, at), keys);
  return q.begin <= k.end && k.begin <= q.end;
}

inline bool rises(const int32_t* x, int64_t n) {
  bool result = true;
  for (int64_t i = 1; i < n; ++i) result = result && x[i - 1] <= x[i];
  return result;
}

/// Restricts the visible ranges to keys of the query's own document. Does so only if document
/// numbers are nondecreasing.
template <class T>
inline void cut_to_documents(const Attention<T>& in, const TilePlace& at, int64_t queries,
                             int64_t keys, Range* seen) {
  const int32_t* q = query_documents(in, at);
  const int32_t* k = key_documents(in, at);
  if (!rises(q, queries) || !rises(k, keys)) return;
  int64_t begin = 0, end = 0;
  for (int64_t i = 0; i < queries; ++i) {
    while (begin < keys && k[begin] < q[i]) ++begin;
    while (end < keys && k[end] <= q[i]) ++end;
    const int64_t first = larger(seen[i].begin, begin);
    seen[i] = {first, larger(smaller(seen[i].end, end), first)};
  }
}

/// Computes the keys of a tile that each query sees, counted from the tile's first key. Returns the
/// range that covers them all. Both ends are nondecreasing from query to query.
template <class T>
inline Range seen_in_tile(const Attention<T>& in, const TilePlace& at, int64_t queries,
                          int64_t keys, Range* seen) {
  if (!documents_meet(in, at, queries, keys)) return {0, 0};
  for (int64_t i = 0; i < queries; ++i) {
    const Range all = keys_seen(in, at.b, at.query + i);
    const int64_t begin = smaller(larger(all.begin - at.key, 0), keys);
    seen[i] = {begin, larger(smaller(all.end - at.key, keys), begin)};
  }
  if (in.query_documents != nullptr) cut_to_documents(in, at, queries, keys, seen);
  return {seen[0].begin, seen[queries - 1].end};
}

/// Returns the whole vectors that cover a range.
template <class T>
inline Range vectors_around(Range r) {
  return {r.begin / lanes<T> * lanes<T>, padded<T>(r.end)};
}

/// Writes -inf to the elements outside `seen` of the whole vectors around it. Writes whole vectors,
/// because the next vector load of the row would otherwise stall on scalar stores.
template <class T>
inline void hide_edges(T* s, Range seen) {
  const Vec<T> hidden(-std::numeric_limits<T>::infinity());
  const Range whole = vectors_around<T>(seen);
  if (whole.begin != seen.begin) {
    T* p = s + whole.begin;
    const auto cut = Vec<T>(static_cast<T>(seen.begin - whole.begin));
    store(p, xsimd::select(lane_numbers<T>() < cut, hidden, load(p)));
  }
  if (whole.end != seen.end) {
    T* p = s + whole.end - lanes<T>;
    const auto cut = Vec<T>(static_cast<T>(seen.end - whole.end + lanes<T>));
    store(p, xsimd::select(lane_numbers<T>() < cut, load(p), hidden));
  }
}

/// Clears the whole vectors of `all` that lie outside `mine`.
template <class T>
inline void clear_outside(T* s, Range all, Range mine) {
  const Vec<T> zero(T(0));
  for (int64_t j = all.begin; j < mine.begin; j += lanes<T>) store(s + j, zero);
  for (int64_t j = mine.end; j < all.end; j += lanes<T>) store(s + j, zero);
}

/// Returns the normalisers of a head, beginning with query `query`.
template <class T>
inline Normalisers<T> rows_from(const Normalisers<T>& rows, int64_t queries, int64_t head,
                                int64_t query) {
  const int64_t at = head * queries + query;
  return {rows.largest + at, rows.log_sum + at};
}

/// Returns log2 of the weight of a score. The maximum is subtracted first, which is exact; see
/// Normalisers.
template <class T>
inline Vec<T> log_weight(const Vec<T>& score, const Vec<T>& largest, const Vec<T>& log_sum) {
  return multiply_add(score - largest, Vec<T>(T(log2_e)), -log_sum);
}

template <class T>
inline ScoreMemory<T> take_score_memory(const Attention<T>& in, int64_t row, Carver& carver) {
  if (in.score == nullptr) return {};
  ScoreMemory<T> memory;
  memory.narrow = carver.take<T>(in.score->narrow_slots * lanes<T>);
  memory.wide = carver.take<T>(in.score->wide_slots * row);
  memory.offsets = carver.take<int32_t>(row);
  memory.row = row;
  return memory;
}

/// Applies the score function to one row.
template <class T>
inline void score_row(const Attention<T>& in, const ScoreMemory<T>& memory, const TilePlace& at,
                      int64_t query, Range seen, T* s) {
  if (in.score == nullptr) return;
  const Range whole = vectors_around<T>(seen);
  run_score_row(*in.score, memory, query, at.key, s, whole.begin, whole.end);
}

template <class T>
inline void begin_scores(const Attention<T>& in, const ScoreMemory<T>& memory, const TilePlace& at,
                         Range within) {
  if (in.score == nullptr) return;
  const Range whole = vectors_around<T>(within);
  begin_score_tile(*in.score, memory, at.b, at.h, at.key, whole.begin, whole.end);
}

/// Finishes one row of scores; s[0] belongs to key at.key. Adds the bias and writes -inf where the
/// key is hidden, within the whole vectors around `seen`.
template <class T>
inline void mask_row(const Attention<T>& in, const TilePlace& at, int64_t query, Range seen, T* s) {
  constexpr T hidden = -std::numeric_limits<T>::infinity();
  hide_edges(s, seen);
  if (in.query_documents != nullptr) {
    const int32_t own = query_documents(in, at)[query - at.query];
    const int32_t* documents = key_documents(in, at);
    for (int64_t j = seen.begin; j < seen.end; ++j) s[j] = documents[j] == own ? s[j] : hidden;
  }
  if (in.bias.data != nullptr) {
    const Pairs<const T>& x = in.bias;
    const T* bias = x.data + at.b * x.batch + at.h * x.head + query * x.query + at.key * x.key;
    if (x.key == 1) {
      for (int64_t j = seen.begin; j < seen.end; ++j) {
        s[j] = bias[j] == hidden ? hidden : s[j] + bias[j];
      }
    } else {
      for (int64_t j = seen.begin; j < seen.end; ++j) {
        s[j] = bias[j * x.key] == hidden ? hidden : s[j] + bias[j * x.key];
      }
    }
  }
  if (in.keep.data != nullptr) {
    const Pairs<const uint8_t>& x = in.keep;
    const uint8_t* keep =
        x.data + at.b * x.batch + at.h * x.head + query * x.query + at.key * x.key;
    if (x.key == 1) {
      for (int64_t j = seen.begin; j < seen.end; ++j) s[j] = keep[j] != 0 ? s[j] : hidden;
    } else {
      for (int64_t j = seen.begin; j < seen.end; ++j) s[j] = keep[j * x.key] != 0 ? s[j] : hidden;
    }
  }
}

/// The parameters of dropout.
struct Dropout {
  bool any;            // True if there is dropout at all.
  uint64_t threshold;  // Random bits at or above it keep the weight.
  double growth;       // Scale factor of kept weights.
};

template <class T>
inline Dropout dropout_of(const Attention<T>& in) {
  return {in.dropout > 0, dropout_threshold(in.dropout), in.dropout < 1 ? 1 / (1 - in.dropout) : 0};
}

/// Generates the random bits of a row's weights for the whole vectors around `seen`. bits[j]
/// belongs to key at.key + j.
template <class T>
inline void row_bits(const Attention<T>& in, const TilePlace& at, int64_t query, Range seen,
                     uint32_t* bits) {
  const Range whole = vectors_around<T>(seen);
  const int64_t row = (at.b * in.query_heads + at.h) * in.queries + query;
  fill_random_bits(bits + whole.begin, whole.end - whole.begin, in.key0, in.key1,
                   static_cast<uint64_t>(row * in.keys + at.key + whole.begin));
}

/// Sets x[j] = 0 for all j in the range whose bits are below the threshold.
template <class T>
inline void drop(T* x, const uint32_t* bits, uint64_t threshold, Range r) {
  if (threshold > std::numeric_limits<uint32_t>::max()) {
    set_all(x + r.begin, r.end - r.begin, T(0));
    return;
  }
  const auto least = static_cast<uint32_t>(threshold);
  for (int64_t j = r.begin; j < r.end; ++j) x[j] = bits[j] >= least ? x[j] : T(0);
}

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
