// Attention, forward pass: output, normalisers, and optionally the weights and statistics of them.
//
// A task handles blocks of up to 256 queries of one head. It loops over tiles of 256 keys in the
// outer loop, packs K transposed and V with padded rows, and sweeps tiles of 64 queries over them.
// Per tile it computes the scores as a register-tile product. Then it applies the score function
// and the mask, takes the softmax relative to the largest score so far, and adds the weighted
// values to the output. If a tile raises that largest score, earlier sums and outputs are rescaled
// (online softmax). The output is divided by the sum of the weights once, at the end. Up to four
// queries read keys and values in place, because packing would cost more than it saves. Weights and
// statistics are recomputed from the scores and the stored normalisers. reference.hpp says what is
// computed.
#include "ops/kernels/attention/attention.hpp"

#include "ops/kernels/attention/attention_tile.hpp"
#include "ops/kernels/simd/integers.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

// Number of queries that share one packed copy of the keys.
constexpr int64_t block_queries = 256;

// Blocks are grouped into tasks of about this many multiplications.
constexpr int64_t task_work = 1 << 20;

template <class T>
struct Scratch {
  Scratch(const Attention<T>& in, int64_t rows, void* memory)
      : carver{static_cast<char*>(memory)},
        queries_row(padded<T>(in.depth)),
        keys_row(skewed<T>(smaller(in.keys, tile_keys))),
        values_row(padded<T>(in.value_depth)) {
    const int64_t most_keys = smaller(in.keys, tile_keys);
    const int64_t most_rows = smaller(rows, tile_queries);
    largest = carver.take<T>(rows);
    sum = carver.take<T>(rows);
    bits = carver.take<uint32_t>(in.dropout > 0 ? 2 * keys_row : 0);
    scores = carver.take<T>(most_rows * keys_row);
    out = carver.take<T>(rows * values_row);
    const bool few = rows <= few_queries;
    queries = carver.take<T>(few ? 0 : most_rows * queries_row);
    keys = carver.take<T>(few ? 0 : in.depth * keys_row);
    values = carver.take<T>(few ? 0 : most_keys * values_row);
    score = take_score_memory(in, keys_row, carver);
  }

  Carver carver;
  int64_t queries_row, keys_row, values_row;
  T* largest;  // [rows]: running maximum of the scores
  T* sum;      // [rows]: sum of exp(score - largest)
  uint32_t* bits;
  T* scores;   // [tile_queries, keys_row]: scores, later weights
  T* out;      // [rows, values_row]: before the division by the sum
  T* queries;  // [tile_queries, queries_row]
  T* keys;     // [D, keys_row]
  T* values;   // [tile_keys, values_row]
  ScoreMemory<T> score;
};

int64_t rows_of_block(int64_t queries, int64_t blocks) { return ceil_div(queries, blocks); }

template <class T>
AttentionPlan plan_forward(const Attention<T>& in) {
  AttentionPlan plan;
  plan.blocks = larger(ceil_div(in.queries, block_queries), 1);
  const int64_t rows = rows_of_block(in.queries, plan.blocks);
  const int64_t items = in.queries == 0 ? 0 : in.batch * in.query_heads * plan.blocks;
  const int64_t work = rows * in.keys * (in.depth + in.value_depth);
  plan.task_items = larger(1, smaller(items, task_work / larger(work, 1)));
  plan.tasks = ceil_div(items, plan.task_items);
  plan.scratch_bytes = Scratch<T>(in, rows, nullptr).carver.used;
  return plan;
}

/// A block of consecutive queries of one head.
struct Block {
  int64_t b, h, begin, end;
};

/// Calls body with each block of a task.
template <class T, class Body>
void for_each_block(const Attention<T>& in, const AttentionPlan& plan, int64_t task,
                    const Body& body) {
  const int64_t items = in.batch * in.query_heads * plan.blocks;
  const int64_t rows = rows_of_block(in.queries, plan.blocks);
  const int64_t end = smaller(items, (task + 1) * plan.task_items);
  for (int64_t item = task * plan.task_items; item < end; ++item) {
    const int64_t head = item / plan.blocks;
    const int64_t begin = item % plan.blocks * rows;
    body(Block{head / in.query_heads, head % in.query_heads, smaller(begin, in.queries),
               smaller(begin + rows, in.queries)});
  }
}

/// Returns the keys that at least one query of [begin, end) sees.
template <class T>
Range keys_of_block(const Attention<T>& in, int64_t b, int64_t begin, int64_t end) {
  if (begin >= end) return {0, 0};
  return {keys_seen(in, b, begin).begin, keys_seen(in, b, end - 1).end};
}

/// Computes the scores of a tile, before the score function and the mask.
template <class T>
void score_tile(const Attention<T>& in, const TilePlace& place, int64_t queries, Range within,
                const Range* seen, bool few, const Scratch<T>& s) {
  const T* q = at(in.q, place.b, place.h, place.query);
  begin_scores(in, s.score, place, within);
  if (few) {
    const int64_t head = place.h / (in.query_heads / in.key_heads);
    const T* k = at(in.k, place.b, head, place.key + within.begin);
    dot_region(queries, within.end - within.begin, in.depth, q, in.q.time, k, in.k.time,
               s.scores + within.begin, s.keys_row, Finish<T>{in.scale, T(0)});
    return;
  }
  copy_rows(q, in.q.time, queries, in.depth, s.queries);
  multiply_seen(queries, vectors_around<T>(within), in.depth, s.queries, s.queries_row, s.keys,
                s.keys_row, s.scores, s.keys_row, in.scale, seen);
}

/// Returns the maximum of a row's masked scores in each lane.
template <class T>
Vec<T> largest_of(const T* s, Range whole) {
  Vec<T> most(-std::numeric_limits<T>::infinity());
  for (int64_t j = whole.begin; j < whole.end; j += lanes<T>) {
    most = xsimd::max(most, load(s + j));
  }
  return most;
}

/// Turns a row's scores into exp(score - base) and returns their sum in each lane.
template <class T>
Vec<T> soften(T* s, Range whole, T base) {
  Vec<T> sum(T(0));
  for (int64_t j = whole.begin; j < whole.end; j += lanes<T>) {
    const Vec<T> weight = weight_exp2((load(s + j) - Vec<T>(base)) * Vec<T>(T(log2_e)));
    sum += weight;
    store(s + j, weight);
  }
  return sum;
}

/// Reduces the lanes of rows[i] to out[i], one group of rows at a time. `rows` has room for whole
/// groups.
template <class T, class Reduce>
void reduce_rows(int64_t n, Vec<T>* rows, T* out, const Reduce& reduce) {
  for (int64_t i = n; i % group<T> != 0; ++i) rows[i] = Vec<T>(T(0));
  for (int64_t i = 0; i < n; i += group<T>) reduce(rows + i, out + i);
}

/// Updates the running maximum of the rows with the maxima of a new tile. Writes to `base` the
/// value that exponents are relative to, and to `rescale` the factor for earlier sums.
template <class T>
void update_largest(int64_t rows, const T* of_tile, T* largest, T* base, T* rescale) {
  const Vec<T> hidden(-std::numeric_limits<T>::infinity());
  for_each_vector<T>(rows, [&](int64_t i, auto access) {
    const Vec<T> before = access.get(largest + i);
    const Vec<T> now = xsimd::max(before, access.get(of_tile + i));
    // If nothing was visible so far, the base is 0: then exponents of -inf give 0 and NaN stays
    // NaN.
    const Vec<T> from = xsimd::select(now == hidden, Vec<T>(T(0)), now);
    access.put(largest + i, now);
    access.put(base + i, from);
    access.put(rescale + i, xsimd::select(before == hidden, Vec<T>(T(1)),
                                          weight_exp2((before - from) * Vec<T>(T(log2_e)))));
  });
}

/// Processes one tile of queries against one tile of keys.
template <class T>
void attend_tile(const Attention<T>& in, const TilePlace& place, int64_t queries, int64_t keys,
                 bool few, int64_t first, const Scratch<T>& s) {
  Range seen[tile_queries];
  T of_row[tile_queries], base[tile_queries], rescale[tile_queries];
  Vec<T> lanewise[tile_queries];
  const Range within = seen_in_tile(in, place, queries, keys, seen);
  if (within.begin >= within.end) return;
  score_tile(in, place, queries, within, seen, few, s);
  for (int64_t i = 0; i < queries; ++i) {
    T* row = s.scores + i * s.keys_row;
    score_row(in, s.score, place, place.query + i, seen[i], row);
    mask_row(in, place, place.query + i, seen[i], row);
    lanewise[i] = largest_of(row, vectors_around<T>(seen[i]));
  }
  reduce_rows(queries, lanewise, of_row, max_groups<T>);
  update_largest(queries, of_row, s.largest + first, base, rescale);
  const Range whole = vectors_around<T>(within);
  const Dropout dropout = dropout_of(in);
  for (int64_t i = 0; i < queries; ++i) {
    T* row = s.scores + i * s.keys_row;
    const Range mine = vectors_around<T>(seen[i]);
    lanewise[i] = soften(row, mine, base[i]);
    clear_outside(row, whole, mine);
    if (dropout.any) {
      row_bits(in, place, place.query + i, seen[i], s.bits);
      drop(row, s.bits, dropout.threshold, seen[i]);
    }
    if (rescale[i] != T(1)) {
      T* out = s.out + (first + i) * s.values_row;
      for (int64_t j = 0; j < s.values_row; j += lanes<T>) {
        store(out + j, load(out + j) * Vec<T>(rescale[i]));
      }
    }
  }
  reduce_rows(queries, lanewise, of_row, sum_groups<T>);
  for (int64_t i = 0; i < queries; ++i) {
    s.sum[first + i] = s.sum[first + i] * rescale[i] + of_row[i];
  }
  const int64_t head = place.h / (in.query_heads / in.key_heads);
  const T* values = few ? at(in.v, place.b, head, place.key) : s.values;
  add_product(queries, in.value_depth, s.scores, s.keys_row, int64_t{1}, values,
              few ? in.v.time : s.values_row, !few, s.out + first * s.values_row, s.values_row,
              seen);
}

/// Calls take(query, key, logs, seen) for each query of a block and each tile of keys it sees.
/// logs[j] is the base-2 logarithm of the weight of key + j, for the whole vectors around `seen`.
/// `rows` points to the normalisers of the block's first query.
template <class T, class Take>
void for_each_weight_row(const Attention<T>& in, const Normalisers<const T>& rows,
                         const Block& block, bool few, const Scratch<T>& s, const Take& take) {
  const int64_t end = smaller(block.end, queries_of(in, block.b));
  const Range all = keys_of_block(in, block.b, block.begin, end);
  const int64_t key_head = block.h / (in.query_heads / in.key_heads);
  for (int64_t key = all.begin; key < all.end; key += tile_keys) {
    const int64_t keys = smaller(all.end - key, tile_keys);
    if (!few) {
      copy_transposed(at(in.k, block.b, key_head, key), in.k.time, keys, in.depth, s.keys,
                      s.keys_row);
    }
    for (int64_t query = block.begin; query < end; query += tile_queries) {
      const TilePlace place{block.b, block.h, query, key};
      const int64_t queries = smaller(end - query, tile_queries);
      Range seen[tile_queries];
      const Range within = seen_in_tile(in, place, queries, keys, seen);
      if (within.begin >= within.end) continue;
      score_tile(in, place, queries, within, seen, few, s);
      for (int64_t i = 0; i < queries; ++i) {
        T* row = s.scores + i * s.keys_row;
        score_row(in, s.score, place, query + i, seen[i], row);
        mask_row(in, place, query + i, seen[i], row);
        const Range whole = vectors_around<T>(seen[i]);
        const int64_t of_block = query + i - block.begin;
        const Vec<T> largest(rows.largest[of_block]), log_sum(rows.log_sum[of_block]);
        for (int64_t j = whole.begin; j < whole.end; j += lanes<T>) {
          store(row + j, log_weight(load(row + j), largest, log_sum));
        }
        take(query + i, key, row, seen[i]);
      }
    }
  }
}

/// Recomputes output i of a block from the values of keys with a nonzero weight only. Tile products
/// also multiply hidden keys by 0, which gives NaN if the hidden value is not finite.
template <class T>
void attend_again(const AttentionForward<T>& a, const Block& block, int64_t i, bool few,
                  const Scratch<T>& s) {
  const Attention<T>& in = a.in;
  const int64_t query = block.begin + i, key_head = block.h / (in.query_heads / in.key_heads);
  const Dropout dropout = dropout_of(in);
  const Vec<T> growth(static_cast<T>(dropout.growth));
  T* out = at(a.out, block.b, block.h, query);
  set_all(out, in.value_depth, T(0));
  const auto add = [&](int64_t, int64_t key, T* logs, Range seen) {
    const Range whole = vectors_around<T>(seen);
    for (int64_t j = whole.begin; j < whole.end; j += lanes<T>) {
      store(logs + j, weight_exp2(load(logs + j)) * growth);
    }
    if (dropout.any) {
      row_bits(in, TilePlace{block.b, block.h, query, key}, query, seen, s.bits);
      drop(logs, s.bits, dropout.threshold, seen);
    }
    for (int64_t j = seen.begin; j < seen.end; ++j) {
      if (logs[j] == T(0)) continue;
      const T* value = at(in.v, block.b, key_head, key + j);
      const Vec<T> weight(logs[j]);
      for_each_vector<T>(in.value_depth, [&](int64_t d, auto access) {
        access.put(out + d, multiply_add(weight, access.get(value + d), access.get(out + d)));
      });
    }
  };
  for_each_weight_row(in, {s.largest + i, s.sum + i}, Block{block.b, block.h, query, query + 1},
                      few, s, add);
}

/// Divides by the sums and writes the output and normalisers of a block.
template <class T>
void finish_block(const AttentionForward<T>& a, const Block& block, int64_t rows, bool few,
                  const Scratch<T>& s) {
  const Attention<T>& in = a.in;
  const T growth = static_cast<T>(dropout_of(in).growth);
  bool spoilt[block_queries] = {};
  for (int64_t i = 0; i < block.end - block.begin; ++i) {
    T* out = at(a.out, block.b, block.h, block.begin + i);
    if (i >= rows || s.sum[i] == T(0)) {
      set_all(out, in.value_depth, T(0));
      continue;
    }
    const T* from = s.out + i * s.values_row;
    const Vec<T> factor(growth / s.sum[i]);
    Vec<T> none(T(0));  // NaN if an output is not finite
    for_each_vector<T>(in.value_depth, [&](int64_t j, auto access) {
      const Vec<T> y = load(from + j) * factor;
      none += y - y;
      access.put(out + j, y);
    });
    spoilt[i] = sum_lanes(none) != T(0) && s.sum[i] - s.sum[i] == T(0);
  }
  const Vec<T> zero(T(0));
  for_each_vector<T>(rows, [&](int64_t i, auto access) {
    const Vec<T> sum = access.get(s.sum + i);
    const auto nothing = sum == zero;
    access.put(s.largest + i, xsimd::select(nothing, zero, access.get(s.largest + i)));
    access.put(s.sum + i, xsimd::select(nothing, zero, log(sum) * Vec<T>(T(log2_e))));
  });
  for (int64_t i = 0; i < rows; ++i) {
    if (spoilt[i]) attend_again(a, block, i, few, s);
  }
  if (a.rows.largest == nullptr) return;
  const int64_t head = block.b * in.query_heads + block.h;
  const Normalisers<T> to = rows_from(a.rows, in.queries, head, block.begin);
  for (int64_t i = 0; i < block.end - block.begin; ++i) {
    to.largest[i] = i < rows ? s.largest[i] : T(0);
    to.log_sum[i] = i < rows ? s.sum[i] : T(0);
  }
}

template <class T>
void forward_block(const AttentionForward<T>& a, const Block& block, const Scratch<T>& s,
                   bool few) {
  const Attention<T>& in = a.in;
  const int64_t end = smaller(block.end, queries_of(in, block.b));
  const int64_t rows = larger(end - block.begin, 0);
  set_all(s.largest, rows, -std::numeric_limits<T>::infinity());
  set_all(s.sum, rows, T(0));
  set_all(s.out, rows * s.values_row, T(0));
  const Range all = keys_of_block(in, block.b, block.begin, end);
  const int64_t key_head = block.h / (in.query_heads / in.key_heads);
  for (int64_t key = all.begin; key < all.end; key += tile_keys) {
    const int64_t keys = smaller(all.end - key, tile_keys);
    if (!documents_meet(in, TilePlace{block.b, block.h, block.begin, key}, rows, keys)) continue;
    if (!few) {
      copy_transposed(at(in.k, block.b, key_head, key), in.k.time, keys, in.depth, s.keys,
                      s.keys_row);
      copy_rows(at(in.v, block.b, key_head, key), in.v.time, keys, in.value_depth, s.values);
    }
    const int64_t parts = ceil_div(rows, tile_queries);
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t first = rows * part / parts;
      attend_tile(in, TilePlace{block.b, block.h, block.begin + first, key},
                  rows * (part + 1) / parts - first, keys, few, first, s);
    }
  }
  finish_block(a, block, rows, few, s);
}

template <class T>
void forward(const AttentionForward<T>& a, const AttentionPlan& plan, void* memory, int64_t task) {
  const int64_t rows = rows_of_block(a.in.queries, plan.blocks);
  const Scratch<T> s(a.in, rows, memory);
  for_each_block(a.in, plan, task,
                 [&](const Block& block) { forward_block(a, block, s, rows <= few_queries); });
}

// ---- weights and statistics ---------------------------------------------------------------------

template <class T>
AttentionPlan plan_weights(const AttentionWeights<T>& a) {
  AttentionPlan plan = plan_forward(a.in);
  const int64_t items = a.in.batch * (a.weights.head == 0 ? 1 : a.heads) * plan.blocks;
  plan.tasks = a.in.queries == 0 ? 0 : ceil_div(items, plan.task_items);
  return plan;
}

/// Writes the weights of one block of queries, for one head or summed over all requested heads.
template <class T>
void weights_of_block(const AttentionWeights<T>& a, Block block, bool few, const Scratch<T>& s) {
  const bool summed = a.weights.head == 0;
  T* out = a.weights.data + block.b * a.weights.batch + block.h * a.weights.head;
  for (int64_t i = block.begin; i < block.end; ++i) {
    set_all(out + i * a.weights.query, a.in.keys, T(0));
  }
  const int64_t first = a.first_head + (summed ? 0 : block.h);
  const Vec<T> factor(a.factor);
  for (int64_t h = first; h < first + (summed ? a.heads : 1); ++h) {
    block.h = h;
    const int64_t head = block.b * a.in.query_heads + h;
    const auto rows = rows_from(a.rows, a.in.queries, head, block.begin);
    for_each_weight_row(a.in, rows, block, few, s,
                        [&](int64_t query, int64_t key, const T* logs, Range seen) {
                          T* to = out + query * a.weights.query + key + seen.begin;
                          const T* from = logs + seen.begin;
                          for_each_vector<T>(seen.end - seen.begin, [&](int64_t j, auto access) {
                            const Vec<T> weight = weight_exp2(access.get(from + j));
                            access.put(to + j, multiply_add(weight, factor, access.get(to + j)));
                          });
                        });
  }
}

template <class T>
void weights(const AttentionWeights<T>& a, const AttentionPlan& plan, void* memory, int64_t task) {
  const Attention<T>& in = a.in;
  const int64_t rows = rows_of_block(in.queries, plan.blocks);
  const Scratch<T> s(in, rows, memory);
  const int64_t places = a.weights.head == 0 ? 1 : a.heads;
  const int64_t end = smaller(in.batch * places * plan.blocks, (task + 1) * plan.task_items);
  for (int64_t item = task * plan.task_items; item < end; ++item) {
    const int64_t head = item / plan.blocks;
    const int64_t begin = item % plan.blocks * rows;
    weights_of_block(a,
                     Block{head / places, head % places, smaller(begin, in.queries),
                           smaller(begin + rows, in.queries)},
                     rows <= few_queries, s);
  }
}

/// Inserts a weight into a query's list of the largest weights, sorted in descending order. Among
/// equal weights the first key comes first.
template <class T>
void keep_largest(T* values, int32_t* keys, int64_t top, T weight, int64_t key) {
  if (!(weight > values[top - 1])) return;
  int64_t i = top - 1;
  for (; i > 0 && weight > values[i - 1]; --i) {
    values[i] = values[i - 1];
    keys[i] = keys[i - 1];
  }
  values[i] = weight;
  keys[i] = static_cast<int32_t>(key);
}

template <class T>
void statistics(const AttentionStatistics<T>& a, const AttentionPlan& plan, void* memory,
                int64_t task) {
  const Attention<T>& in = a.in;
  const int64_t block_rows = rows_of_block(in.queries, plan.blocks);
  const bool few = block_rows <= few_queries;
  const Scratch<T> s(in, block_rows, memory);
  const Vec<T> zero(T(0));
  for_each_block(in, plan, task, [&](const Block& block) {
    const int64_t head = (block.b * in.query_heads + block.h) * in.queries;
    set_all(a.entropy + head + block.begin, block.end - block.begin, T(0));
    set_all(a.largest + head + block.begin, block.end - block.begin, T(0));
    set_all(a.values + (head + block.begin) * a.top, (block.end - block.begin) * a.top, T(0));
    set_all(a.keys + (head + block.begin) * a.top, (block.end - block.begin) * a.top, int32_t{-1});
    const auto rows = rows_from(a.rows, in.queries, head / larger(in.queries, 1), block.begin);
    for_each_weight_row(in, rows, block, few, s,
                        [&](int64_t query, int64_t key, T* logs, Range seen) {
                          const Range whole = vectors_around<T>(seen);
                          Vec<T> most = zero, entropy = zero;
                          for (int64_t j = whole.begin; j < whole.end; j += lanes<T>) {
                            const Vec<T> log = load(logs + j);
                            const Vec<T> weight = weight_exp2(log);
                            most = xsimd::max(most, weight);
                            // A weight of 0 contributes 0, whatever its logarithm is.
                            entropy -= xsimd::select(weight == zero, zero, weight * log);
                            store(logs + j, weight);
                          }
                          alignas(64) T lane[lanes<T>];
                          store(lane, most);
                          T largest = lane[0];
                          for (int64_t j = 1; j < lanes<T>; ++j)
                            largest = largest < lane[j] ? lane[j] : largest;
                          const int64_t row = head + query;
                          a.largest[row] = largest < a.largest[row] ? a.largest[row] : largest;
                          a.entropy[row] += sum_lanes(entropy) * T(ln_2);
                          if (a.top == 0) return;
                          T* values = a.values + row * a.top;
                          if (!(largest > values[a.top - 1])) return;
                          for (int64_t j = seen.begin; j < seen.end; ++j) {
                            keep_largest(values, a.keys + row * a.top, a.top, logs[j], key + j);
                          }
                        });
  });
}

template <class T>
constexpr AttentionKernels<T> attention_kernels = {plan_forward<T>, forward<T>, plan_weights<T>,
                                                   weights<T>, statistics<T>};

}  // namespace

const AttentionTable table_AttentionTable = {attention_kernels<float>, attention_kernels<double>};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
