// Attention, backward pass: gradients of queries, keys, values, the bias and captured arrays.
//
// First, each query gets mean = sum(out * grad_out), which equals sum(weight * grad_weight) over
// its keys. A task handles one key head, or one split of its keys if there are few heads. It loops
// over tiles of 256 keys in the outer loop and over tiles of 64 queries of all heads in the group
// in the inner loop. Per tile it recomputes S = Q K' and the weights from the stored normalisers,
// and computes dP = dO V'. Then it accumulates dV += P' dO and dK += dS' Q, which stay in the
// cache, and adds dS K to dQ in memory. K and V are packed transposed once per tile, so that all
// five products run on the same register tile. If the keys of a head are split, each split writes
// its own part of dQ; combine() sums the parts in order. The gradient of the bias is computed by
// separate tasks that recompute the scores. reference.hpp says what is computed.
#include "ops/kernels/attention/attention.hpp"
#include "ops/kernels/attention/attention_tile.hpp"
#include "ops/kernels/simd/integers.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

// With fewer heads than this, the keys of a head are split among tasks.
constexpr int64_t enough_heads = 16;

// Memory limit for the tasks' score-program sums. If it is exceeded, fewer and larger tasks are
// made.
constexpr int64_t most_sums_bytes = int64_t{64} << 20;

// Number of elements per combine task when the tasks' sums are added up.
constexpr int64_t sums_piece = 4096;

// Heads are grouped into tasks of about this many multiplications.
constexpr int64_t task_work = 1 << 20;

/// Returns the number of query heads that share one head of keys and values.
template <class T>
int64_t heads_together(const Attention<T>& in) {
  return in.key_heads == 0 ? 0 : in.query_heads / in.key_heads;
}

template <class T>
struct Scratch {
  Scratch(const Attention<T>& in, bool bias, void* memory)
      : carver{static_cast<char*>(memory)},
        depth_row(padded<T>(in.depth)),
        value_row(padded<T>(in.value_depth)),
        keys_row(skewed<T>(smaller(in.keys, tile_keys))) {
    const int64_t q = smaller(in.queries, tile_queries);
    const int64_t k = smaller(in.keys, tile_keys);
    bits = carver.take<uint32_t>(in.dropout > 0 ? 2 * keys_row : 0);
    weights = carver.take<T>(q * keys_row);
    grads = carver.take<T>(q * keys_row);
    queries = carver.take<T>(q * depth_row);
    grad_out = carver.take<T>(q * value_row);
    grad_q = carver.take<T>(q * depth_row);
    keys = carver.take<T>(k * depth_row);
    keys_t = carver.take<T>(in.depth * keys_row);
    values_t = carver.take<T>(in.value_depth * keys_row);
    grad_k = carver.take<T>(k * depth_row);
    grad_v = carver.take<T>(k * value_row);
    grad_bias = carver.take<T>(bias ? larger(q, 1) * keys_row : 0);
    means = carver.take<T>(in.queries * (bias ? 1 : heads_together(in)));
    score = take_score_memory(in, keys_row, carver);
  }

  Carver carver;
  int64_t depth_row, value_row, keys_row;
  uint32_t* bits;
  T* weights;    // [tile_queries, keys_row]: after dropout, not yet scaled
  T* grads;      // [tile_queries, keys_row]: of the weights, later of the scores
  T* queries;    // [tile_queries, depth_row]
  T* grad_out;   // [tile_queries, value_row]
  T* grad_q;     // [tile_queries, depth_row]
  T* keys;       // [tile_keys, depth_row]
  T* keys_t;     // [D, keys_row]
  T* values_t;   // [Dv, keys_row]
  T* grad_k;     // [tile_keys, depth_row]
  T* grad_v;     // [tile_keys, value_row]
  T* grad_bias;  // [tile_queries, keys_row]
  T* means;      // [heads per group, Tq]: see take_means
  ScoreMemory<T> score;
};

/// Returns the number of parts along one axis. A broadcast axis has one part even if n is 0,
/// because its zeros must be written.
int64_t bias_parts(int64_t stride, int64_t n, int64_t size) {
  return stride == 0 ? 1 : ceil_div(n, size);
}

template <class T>
AttentionPlan plan_backward(const AttentionBackward<T>& a) {
  const Attention<T>& in = a.in;
  AttentionPlan plan;
  const int64_t heads = in.batch * in.key_heads;
  const int64_t tiles_of_head = ceil_div(in.keys, tile_keys);
  const int64_t wanted = ceil_div(enough_heads, larger(heads, 1));
  const int64_t tiles_of_split = larger(ceil_div(tiles_of_head, wanted), 1);
  plan.blocks = larger(ceil_div(tiles_of_head, tiles_of_split), 1);
  const int64_t work =
      heads_together(in) * in.queries * in.keys * (3 * in.depth + 2 * in.value_depth);
  plan.task_items = plan.blocks > 1 ? 1 : larger(1, smaller(heads, task_work / larger(work, 1)));
  const int64_t sums = in.score == nullptr ? 0 : in.score->sums;
  if (sums > 0) {
    const int64_t most_tasks =
        larger(most_sums_bytes / (sums * static_cast<int64_t>(sizeof(T))), 1);
    plan.task_items = larger(plan.task_items, ceil_div(heads * plan.blocks, most_tasks));
  }
  plan.tasks = ceil_div(heads * plan.blocks, plan.task_items);
  plan.scratch_bytes = Scratch<T>(in, a.grad_bias.data != nullptr, nullptr).carver.used;
  Carver workspace{nullptr};
  if (plan.blocks > 1) {
    workspace.take<T>(plan.blocks * in.batch * in.query_heads * in.queries * in.depth);
    plan.combine_tasks = in.batch * in.query_heads * ceil_div(in.queries, tile_keys);
  }
  plan.sums_at = workspace.used;
  workspace.take<T>(plan.tasks * sums);
  plan.combine_tasks += ceil_div(sums, sums_piece);
  plan.workspace_bytes = workspace.used;
  if (a.grad_bias.data != nullptr) {
    plan.bias_tasks = bias_parts(a.grad_bias.batch, in.batch, 1) *
                      bias_parts(a.grad_bias.head, in.query_heads, 1) *
                      bias_parts(a.grad_bias.query, in.queries, tile_queries) *
                      bias_parts(a.grad_bias.key, in.keys, tile_keys);
  }
  return plan;
}

/// Packs the keys and values of a tile, transposed, for gradient_tile.
template <class T>
void take_keys(const Attention<T>& in, int64_t b, int64_t key_head, int64_t key, int64_t keys,
               const Scratch<T>& s) {
  copy_transposed(at(in.k, b, key_head, key), in.k.time, keys, in.depth, s.keys_t, s.keys_row);
  copy_transposed(at(in.v, b, key_head, key), in.v.time, keys, in.value_depth, s.values_t,
                  s.keys_row);
}

/// Computes the weights and the score gradients of a tile. The gradients are passed back through
/// the score function, except for the bias, which is added after it. `means` belongs to the tile's
/// queries. Writes to `seen` the keys that each query sees and returns the range that covers them.
/// Does nothing else if that range is empty.
template <class T>
void take_means(const AttentionBackward<T>& a, int64_t b, int64_t h, int64_t first, int64_t queries,
                T* means) {
  constexpr int64_t ahead = 4;
  const int64_t depth = a.in.value_depth;
  const T* out = at(a.out, b, h, first);
  const T* grad_out = at(a.grad_out, b, h, first);
  for (int64_t i = 0; i < queries; ++i, out += a.out.time, grad_out += a.grad_out.time) {
    if (i + ahead < queries) {
      prefetch_row(out + ahead * a.out.time, depth);
      prefetch_row(grad_out + ahead * a.grad_out.time, depth);
    }
    Vec<T> sum(T(0));
    for_each_vector<T>(depth, [&](int64_t j, auto access) {
      sum = multiply_add(access.get(out + j), access.get(grad_out + j), sum);
    });
    means[i] = sum_lanes(sum);
  }
}

/// Computes the weights and the score gradients of a tile. For the bias, the gradients are taken
/// after the score function, otherwise before it. `means` belongs to the tile's queries. Writes to
/// `seen` the keys that each query sees and returns the range that covers them. Does nothing else
/// if that range is empty.
template <class T>
Range gradient_tile(const AttentionBackward<T>& a, const TilePlace& place, int64_t queries,
                    int64_t keys, bool for_bias, const T* means, const Scratch<T>& s, Range* seen) {
  const Attention<T>& in = a.in;
  const Range within = seen_in_tile(in, place, queries, keys, seen);
  if (within.begin >= within.end) return within;
  copy_rows(at(in.q, place.b, place.h, place.query), in.q.time, queries, in.depth, s.queries);
  copy_rows(at(a.grad_out, place.b, place.h, place.query), a.grad_out.time, queries, in.value_depth,
            s.grad_out);
  const Range whole = vectors_around<T>(within);
  if (in.queries <= few_queries) {  // Same method as in the forward pass: the scores must be
                                    // bitwise identical.
    const T* k = at(in.k, place.b, place.h / (in.query_heads / in.key_heads), place.key);
    dot_region(queries, within.end - within.begin, in.depth,
               at(in.q, place.b, place.h, place.query), in.q.time, k + within.begin * in.k.time,
               in.k.time, s.weights + within.begin, s.keys_row, Finish<T>{in.scale, T(0)});
  } else {
    multiply_seen(queries, whole, in.depth, s.queries, s.depth_row, s.keys_t, s.keys_row, s.weights,
                  s.keys_row, in.scale, seen);
  }
  multiply_seen(queries, whole, in.value_depth, s.grad_out, s.value_row, s.values_t, s.keys_row,
                s.grads, s.keys_row, T(1), seen);
  begin_scores(in, s.score, place, within);
  const Dropout dropout = dropout_of(in);
  const Vec<T> growth(static_cast<T>(dropout.growth));
  const Normalisers<const T> rows =
      rows_from(a.rows, in.queries, place.b * in.query_heads + place.h, place.query);
  const Vec<T> zero(T(0));
  for (int64_t i = 0; i < queries; ++i) {
    T* weights = s.weights + i * s.keys_row;
    T* grads = s.grads + i * s.keys_row;
    const Range mine = vectors_around<T>(seen[i]);
    score_row(in, s.score, place, place.query + i, seen[i], weights);
    mask_row(in, place, place.query + i, seen[i], weights);
    if (dropout.any) {
      row_bits(in, place, place.query + i, seen[i], s.bits);
      drop(grads, s.bits, dropout.threshold, seen[i]);
    }
    const Vec<T> largest(rows.largest[i]), log_sum(rows.log_sum[i]);
    const Vec<T> mean(means[i]);
    for (int64_t j = mine.begin; j < mine.end; j += lanes<T>) {
      // The weights are a softmax of the scores, so d_score = weight (d_weight - sum of weight
      // d_weight). A weight of 0 gives 0, whatever a hidden key's value is.
      const Vec<T> weight = weight_exp2(log_weight(load(weights + j), largest, log_sum));
      const Vec<T> grad = weight * (load(grads + j) * growth - mean);
      store(weights + j, weight);
      store(grads + j, xsimd::select(weight == zero, zero, grad));
    }
    if (in.score != nullptr && !for_bias) {
      run_score_gradient(*in.score, s.score, place.key, weights, grads, mine.begin, mine.end);
    }
    if (dropout.any) drop(weights, s.bits, dropout.threshold, seen[i]);
    clear_outside(weights, whole, mine);
    clear_outside(grads, whole, mine);
  }
  return within;
}

/// Replaces infinities and NaN by zeros. A query that sees such a key has NaN gradients anyway. For
/// other queries the values would be multiplied by 0 and give NaN. n counts whole vectors.
template <class T>
void drop_nonfinite(T* x, int64_t n) {
  const Vec<T> zero(T(0));
  for (int64_t i = 0; i < n; i += lanes<T>) {
    const Vec<T> v = load(x + i);
    store(x + i, xsimd::select(v - v == zero, v, zero));
  }
}

/// Clears the gradients of n queries.
template <class T>
void clear_heads(const Heads<T>& x, int64_t width, int64_t b, int64_t h, int64_t first, int64_t n) {
  for (int64_t i = first; i < first + n; ++i) set_all(at(x, b, h, i), width, T(0));
}

/// Computes, for each key of a tile, the range of queries that see it.
inline void seen_by(const Range* seen, int64_t queries, int64_t keys, Range* by) {
  int64_t begin = 0, end = 0;
  for (int64_t j = 0; j < keys; ++j) {
    while (begin < queries && seen[begin].end <= j) ++begin;
    while (end < queries && seen[end].begin <= j) ++end;
    by[j] = {begin, larger(begin, end)};
  }
}

/// Adds one tile's contribution to the gradients of its queries, keys and values. The first tile of
/// keys overwrites the gradients of the queries.
template <class T>
void backward_tile(const AttentionBackward<T>& a, const TilePlace& place, int64_t queries,
                   int64_t keys, bool first_keys, const T* means, const Heads<T>& grad_q,
                   const Scratch<T>& s) {
  const Attention<T>& in = a.in;
  Range seen[tile_queries], by[tile_keys];
  const Range within = gradient_tile(a, place, queries, keys, false, means, s, seen);
  if (within.begin >= within.end) {
    if (first_keys) clear_heads(grad_q, in.depth, place.b, place.h, place.query, queries);
    return;
  }
  seen_by(seen, queries, keys, by);
  const int64_t first = within.begin;
  const int64_t count = within.end - first;
  add_product(count, in.value_depth, s.weights + first, int64_t{1}, s.keys_row, s.grad_out,
              s.value_row, true, s.grad_v + first * s.value_row, s.value_row, by + first);
  add_product(count, in.depth, s.grads + first, int64_t{1}, s.keys_row, s.queries, s.depth_row,
              true, s.grad_k + first * s.depth_row, s.depth_row, by + first);
  set_all(s.grad_q, queries * s.depth_row, T(0));
  add_product(queries, in.depth, s.grads, s.keys_row, int64_t{1}, s.keys, s.depth_row, true,
              s.grad_q, s.depth_row, seen);
  const Vec<T> scale(in.scale);
  for (int64_t i = 0; i < queries; ++i) {
    T* out = at(grad_q, place.b, place.h, place.query + i);
    const T* part = s.grad_q + i * s.depth_row;
    for_each_vector<T>(in.depth, [&](int64_t j, auto access) {
      const Vec<T> before = first_keys ? Vec<T>(T(0)) : access.get(out + j);
      access.put(out + j, multiply_add(load(part + j), scale, before));
    });
  }
}

template <class T>
void write_rows(const T* from, int64_t from_row, int64_t rows, int64_t width, T factor, T* to,
                int64_t to_row) {
  for (int64_t i = 0; i < rows; ++i) {
    for_each_vector<T>(width, [&](int64_t j, auto access) {
      access.put(to + i * to_row + j, load(from + i * from_row + j) * Vec<T>(factor));
    });
  }
}

/// Computes the gradients of one tile's keys and values over all queries of the group.
template <class T>
void backward_keys(const AttentionBackward<T>& a, int64_t b, int64_t key_head, int64_t key,
                   int64_t keys, bool first_keys, const Heads<T>& grad_q, const Scratch<T>& s) {
  const Attention<T>& in = a.in;
  set_all(s.grad_k, keys * s.depth_row, T(0));
  set_all(s.grad_v, keys * s.value_row, T(0));
  const int64_t queries = queries_of(in, b);
  const int64_t length = keys_of(in, b);
  const int64_t valid = smaller(keys, length - key);
  if (valid > 0 && queries > 0) {
    take_keys(in, b, key_head, key, valid, s);
    copy_rows(at(in.k, b, key_head, key), in.k.time, valid, in.depth, s.keys);
    drop_nonfinite(s.keys, valid * s.depth_row);
    const int64_t blocks = ceil_div(queries, tile_queries);
    for (int64_t i = 0; i < heads_together(in); ++i) {
      for (int64_t block = 0; block < blocks; ++block) {
        const int64_t query = queries * block / blocks;
        backward_tile(a, TilePlace{b, key_head * heads_together(in) + i, query, key},
                      queries * (block + 1) / blocks - query, valid, first_keys,
                      s.means + i * in.queries + query, grad_q, s);
      }
    }
  }
  const T growth = static_cast<T>(dropout_of(in).growth);
  write_rows(s.grad_k, s.depth_row, keys, in.depth, in.scale, at(a.grad_k, b, key_head, key),
             a.grad_k.time);
  write_rows(s.grad_v, s.value_row, keys, in.value_depth, growth, at(a.grad_v, b, key_head, key),
             a.grad_v.time);
}

/// Returns where the tasks of one split write their part of the query gradients.
template <class T>
Heads<T> split_target(const AttentionBackward<T>& a, const AttentionPlan& plan, void* workspace,
                      int64_t split) {
  if (plan.blocks == 1) return a.grad_q;
  const Attention<T>& in = a.in;
  const int64_t head = in.queries * in.depth;
  const int64_t batch = in.query_heads * head;
  return {static_cast<T*>(workspace) + split * in.batch * batch, batch, head, in.depth};
}

/// Returns the sums to which a task adds the gradients of captured arrays.
template <class T>
T* sums_of_task(const AttentionBackward<T>& a, const AttentionPlan& plan, void* workspace,
                int64_t task) {
  T* sums = reinterpret_cast<T*>(static_cast<char*>(workspace) + plan.sums_at);
  return sums + task * a.in.score->sums;
}

template <class T>
void run(const AttentionBackward<T>& a, const AttentionPlan& plan, void* workspace, void* memory,
         int64_t task) {
  const Attention<T>& in = a.in;
  Scratch<T> s(in, false, memory);
  if (in.score != nullptr && in.score->sums > 0) {
    s.score.sums = sums_of_task(a, plan, workspace, task);
    set_all(s.score.sums, in.score->sums, T(0));
  }
  const int64_t items = in.batch * in.key_heads * plan.blocks;
  const int64_t last = smaller(items, (task + 1) * plan.task_items);
  const int64_t group = heads_together(in);
  const int64_t split_keys = ceil_div(ceil_div(in.keys, tile_keys), plan.blocks) * tile_keys;
  for (int64_t item = task * plan.task_items; item < last; ++item) {
    const int64_t split = item % plan.blocks;
    const int64_t b = item / plan.blocks / in.key_heads;
    const int64_t key_head = item / plan.blocks % in.key_heads;
    const Heads<T> grad_q = split_target(a, plan, workspace, split);
    const int64_t begin = split * split_keys, end = smaller(in.keys, begin + split_keys);
    // Queries that no tile covers have zero gradients, which must be written.
    const int64_t queries = begin < smaller(end, keys_of(in, b)) ? queries_of(in, b) : 0;
    for (int64_t i = 0; i < group; ++i) {
      const int64_t h = key_head * group + i;
      clear_heads(grad_q, in.depth, b, h, queries, in.queries - queries);
      take_means(a, b, h, 0, queries, s.means + i * in.queries);
    }
    for (int64_t key = begin; key < end; key += tile_keys) {
      backward_keys(a, b, key_head, key, smaller(end - key, tile_keys), key == begin, grad_q, s);
    }
  }
}

/// Adds up one piece of all tasks' sums, in the order of the tasks.
template <class T>
void combine_sums(const AttentionBackward<T>& a, const AttentionPlan& plan, const void* workspace,
                  int64_t piece) {
  const auto* sums = reinterpret_cast<const T*>(static_cast<const char*>(workspace) + plan.sums_at);
  const int64_t all = a.in.score->sums;
  for (int i = 0; i < a.grad_score_count; ++i) {
    const ScoreGradient<T>& to = a.grad_score[i];
    const int64_t begin = larger(piece * sums_piece, to.sums);
    const int64_t end = smaller((piece + 1) * sums_piece, to.sums + to.size);
    for (int64_t j = begin; j < end; ++j) {
      T sum = T(0);
      for (int64_t task = 0; task < plan.tasks; ++task) sum += sums[task * all + j];
      to.out[j - to.sums] = sum;
    }
  }
}

template <class T>
void combine(const AttentionBackward<T>& a, const AttentionPlan& plan, const void* workspace,
             int64_t task) {
  const Attention<T>& in = a.in;
  const int64_t blocks = ceil_div(in.queries, tile_keys);
  const int64_t query_tasks = plan.blocks > 1 ? in.batch * in.query_heads * blocks : 0;
  if (task >= query_tasks) return combine_sums(a, plan, workspace, task - query_tasks);
  const int64_t head = task / blocks;
  const int64_t begin = task % blocks * tile_keys;
  const int64_t step = in.batch * in.query_heads * in.queries * in.depth;
  for (int64_t i = begin; i < smaller(in.queries, begin + tile_keys); ++i) {
    const T* parts = static_cast<const T*>(workspace) + (head * in.queries + i) * in.depth;
    T* out = at(a.grad_q, head / in.query_heads, head % in.query_heads, i);
    for_each_vector<T>(in.depth, [&](int64_t j, auto access) {
      Vec<T> sum = access.get(parts + j);
      for (int64_t split = 1; split < plan.blocks; ++split) {
        sum += access.get(parts + split * step + j);
      }
      access.put(out + j, sum);
    });
  }
}

/// Returns the i-th part of n elements, or all of them if the bias is broadcast along this axis.
Range bias_part(int64_t stride, int64_t n, int64_t size, int64_t i) {
  return stride == 0 ? Range{0, n} : Range{i * size, smaller(n, (i + 1) * size)};
}

/// Adds a tile's score gradients to the gradient of the bias. `sums` begins at the element of
/// `origin`.
template <class T>
void add_to_bias(const Pairs<T>& bias, const TilePlace& place, const TilePlace& origin,
                 int64_t queries, const Range* seen, const Scratch<T>& s, T* sums) {
  for (int64_t i = 0; i < queries; ++i) {
    const T* grads = s.grads + i * s.keys_row;
    T* row = sums + (bias.query == 0 ? 0 : (place.query - origin.query + i) * s.keys_row);
    if (bias.key == 0) {
      for (int64_t j = seen[i].begin; j < seen[i].end; ++j) row[0] += grads[j];
    } else {
      row += place.key - origin.key;
      for (int64_t j = seen[i].begin; j < seen[i].end; ++j) row[j] += grads[j];
    }
  }
}

/// Computes one block of the bias gradient, summed in ascending order over all axes that the bias
/// is broadcast along. Recomputing the score gradients costs less than storing a [Tq, Tk] array per
/// head.
template <class T>
void bias(const AttentionBackward<T>& a, const AttentionPlan&, void* memory, int64_t task) {
  const Attention<T>& in = a.in;
  const Pairs<T>& out = a.grad_bias;
  const Scratch<T> s(in, true, memory);
  const int64_t key_parts = bias_parts(out.key, in.keys, tile_keys);
  const int64_t query_parts = bias_parts(out.query, in.queries, tile_queries);
  const int64_t head_parts = bias_parts(out.head, in.query_heads, 1);
  const Range keys = bias_part(out.key, in.keys, tile_keys, task % key_parts);
  task /= key_parts;
  const Range queries = bias_part(out.query, in.queries, tile_queries, task % query_parts);
  task /= query_parts;
  const Range heads = bias_part(out.head, in.query_heads, 1, task % head_parts);
  const Range sentences = bias_part(out.batch, in.batch, 1, task / head_parts);
  const TilePlace origin{sentences.begin, heads.begin, queries.begin, keys.begin};
  const int64_t rows = out.query == 0 ? 1 : queries.end - queries.begin;
  const int64_t columns = out.key == 0 ? 1 : keys.end - keys.begin;
  T* total = s.grad_bias;
  set_all(total, rows * s.keys_row, T(0));
  Range seen[tile_queries];
  for (int64_t b = sentences.begin; b < sentences.end; ++b) {
    const int64_t length = keys_of(in, b);
    const int64_t last_query = smaller(queries.end, queries_of(in, b));
    for (int64_t h = heads.begin; h < heads.end; ++h) {
      take_means(a, b, h, queries.begin, last_query - queries.begin, s.means);
      for (int64_t key = keys.begin; key < smaller(keys.end, length); key += tile_keys) {
        const int64_t count = smaller(smaller(keys.end, length) - key, tile_keys);
        take_keys(in, b, h / (in.query_heads / in.key_heads), key, count, s);
        for (int64_t query = queries.begin; query < last_query; query += tile_queries) {
          const TilePlace place{b, h, query, key};
          const int64_t block = smaller(last_query - query, tile_queries);
          const T* means = s.means + (query - queries.begin);
          const Range within = gradient_tile(a, place, block, count, true, means, s, seen);
          if (within.begin < within.end) add_to_bias(out, place, origin, block, seen, s, total);
        }
      }
    }
  }
  T* to = out.data + origin.b * out.batch + origin.h * out.head + origin.query * out.query +
          origin.key * out.key;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j)
      to[i * out.query + j * out.key] = total[i * s.keys_row + j];
  }
}

template <class T>
constexpr AttentionBackwardKernels<T> backward_kernels = {plan_backward<T>, run<T>, combine<T>,
                                                          bias<T>};

}  // namespace

const AttentionBackwardTable table_AttentionBackwardTable = {backward_kernels<float>,
                                                             backward_kernels<double>};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
