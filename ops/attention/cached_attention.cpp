#include "ops/attention/cached_attention.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "framework/core/error.hpp"
#include "framework/core/parallel.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "ops/kernels/attention/cached_attention.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/row_split.hpp"
#include "ops/support/strided.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

struct CachedAttributes {
  double scale;  // 0: 1 / sqrt(D)
};

template <class T>
const kernels::CachedAttentionKernels<T>& cached_kernels() {
  return kernels::kernels_for<kernels::CachedAttentionTable, T>();
}

/// Fails unless `index` is int32 of the given shape.
void expect_index(const ShapeContext& c, int input, std::string_view what, const Shape& shape) {
  if (c.dtype(input) == DType::int32 && c.input(input) == shape) return;
  c.fail(fmt::format("expected {} int32 {}, got {} {}", what, to_string(shape),
                     name(c.dtype(input)), to_string(c.input(input))),
         c.dtype(input) == DType::int32 ? ErrorKind::shape : ErrorKind::type);
}

/// Checks q [R, Hq, D], keys [.., .., Hk, D] and values [.., .., Hk, Dv]. Returns [R, Hq, Dv].
Shape attended_shape(const ShapeContext& c, int keys, int values) {
  const Shape &q = c.input(0), &k = c.input(keys), &v = c.input(values);
  const bool fits = q.rank() == 3 && k.rank() == 4 && v.rank() == 4 && k[0] == v[0] &&
                    k[1] == v[1] && k[2] == v[2] && k[3] == q[2] && k[2] > 0 && q[1] % k[2] == 0;
  const bool types =
      is_float(c.dtype()) && c.dtype(keys) == c.dtype() && c.dtype(values) == c.dtype();
  if (!fits || !types) {
    c.fail(fmt::format(
        "expected q [R, Hq, D], keys [.., .., Hk, D] and values [.., .., Hk, Dv] of one float "
        "type, Hk a divisor of Hq; got {} {}, {} {} and {} {}",
        name(c.dtype()), to_string(q), name(c.dtype(keys)), to_string(k), name(c.dtype(values)),
        to_string(v)));
  }
  return {q[0], q[1], v[3]};
}

/// Returns the kernel's description of queries, output, keys and values. `row` and `time` are the
/// axes of keys and values.
template <class T>
kernels::CachedAttention<T> attention_of(const ForwardContext& c, const TensorView& keys,
                                         const TensorView& values, size_t row, size_t time) {
  const TensorView& q = c.input(0);
  const double scale = c.attributes<CachedAttributes>().scale;
  const auto depth = static_cast<double>(std::max<int64_t>(q.shape[2], 1));
  const auto rows = [&](const TensorView& x) {
    return kernels::CachedRows<T>{x.as<const T>(), x.strides[row], x.strides[time], x.strides[2]};
  };
  return {.heads = q.shape[1],
          .group = q.shape[1] / keys.shape[2],
          .depth = q.shape[2],
          .value_depth = values.shape[3],
          .scale = static_cast<T>(scale != 0 ? scale : 1 / std::sqrt(depth)),
          .q = q.as<const T>(),
          .q_row = q.strides[0],
          .q_head = q.strides[1],
          .keys = rows(keys),
          .values = rows(values),
          .out = c.output().as<T>()};
}

/// Runs the kernel. `most` is the maximum number of keys. The division into tasks depends on it,
/// and not on the current number of keys.
template <class T>
void run(const ForwardContext& c, const kernels::CachedAttention<T>& a, int64_t most) {
  const int64_t items = c.output().shape[0] * c.output().shape[1];
  over_ranges(c, items, most * (a.depth + a.value_depth) / 8, [&](int64_t begin, int64_t end) {
    auto* scores =
        static_cast<T*>(worker_scratch(a.count * a.heads * static_cast<int64_t>(sizeof(T))));
    cached_kernels<T>().forward(a, begin, end, scores);
  });
}

/// Copies rows [R, Hk, n] into the cache at [place, 0 ..].
void write_rows(const TensorView& rows, const TensorView& cache, int64_t place) {
  const int64_t bytes = size_of(rows.dtype);
  const auto width = static_cast<size_t>(rows.shape[2] * bytes);
  auto* to = cache.as<std::byte>() + place * cache.strides[0] * bytes;
  for (int64_t r = 0; r < rows.shape[0]; ++r) {
    for (int64_t h = 0; h < rows.shape[1]; ++h) {
      const int64_t from = r * rows.strides[0] + h * rows.strides[1];
      std::memcpy(to, rows.as<const std::byte>() + from * bytes, width);
      to += width;
    }
  }
}

void check_rows(const TensorView& index, int64_t columns, int64_t limit, std::string_view what) {
  const int64_t entries = index.shape[0];
  for (int64_t r = 0; r < entries; ++r) {
    const int32_t* row = index.as<const int32_t>() + r * index.strides[0];
    for (int64_t t = 0; t < columns; ++t) {
      if (row[t] >= 0 && row[t] < limit) continue;
      throw Error(fmt::format("{} {} of row {} is outside 0 .. {}", what, row[t], r, limit - 1));
    }
  }
}

// Inputs: q, k, v, ancestors, place, the cache's keys and values, and optionally a bias. The
// operator writes to the cache but is not an update in the planner's sense. Updates run after all
// other steps, and readers of this result must not wait for that. This is safe: no other operator
// reads the cache, and writing it twice gives the same contents.
constinit const Op cached_attention_op{
    .name = "cached_attention",
    .shape =
        [](ShapeContext& c) {
          const Shape out = attended_shape(c, 5, 6);
          const Shape &q = c.input(0), &keys = c.input(5), &values = c.input(6);
          if (c.input(1) != Shape{q[0], keys[2], keys[3]} ||
              c.input(2) != Shape{q[0], values[2], values[3]} || c.dtype(1) != c.dtype() ||
              c.dtype(2) != c.dtype()) {
            c.fail(fmt::format("k {} {} and v {} {} do not fit the cache {}, {} and {} rows",
                               name(c.dtype(1)), to_string(c.input(1)), name(c.dtype(2)),
                               to_string(c.input(2)), to_string(keys), to_string(values), q[0]));
          }
          if (q[0] > keys[1]) {
            c.fail(fmt::format("{} rows do not fit a cache of {}", q[0], keys[1]));
          }
          expect_index(c, 3, "ancestors", {q[0], keys[0]});
          expect_index(c, 4, "place", {1});
          const Shape of_scores{q[1], keys[0]};
          if (c.inputs() > 7 && (c.input(7) != of_scores || c.dtype(7) != c.dtype())) {
            c.fail(fmt::format("expected a bias {} {}, got {} {}", name(c.dtype()),
                               to_string(of_scores), name(c.dtype(7)), to_string(c.input(7))),
                   c.dtype(7) == c.dtype() ? ErrorKind::shape : ErrorKind::type);
          }
          c.output(out, c.dtype());
        },
    .gradient = [](GradientContext&) {},
    .cpu =
        {.forward =
             [](const ForwardContext& c) {
               const TensorView &ancestors = c.input(3), &keys = c.input(5), &values = c.input(6);
               const int64_t place = *c.input(4).as<const int32_t>();
               if (place < 0 || place >= keys.shape[0]) {
                 throw Error(
                     fmt::format("place {} is outside a cache of {} steps", place, keys.shape[0]));
               }
               check_rows(ancestors, place + 1, keys.shape[1], "the ancestor");
               write_rows(c.input(1), keys, place);
               write_rows(c.input(2), values, place);
               by_float_type(c.output().dtype, [&]<class T>() {
                 auto a = attention_of<T>(c, keys, values, 1, 0);
                 a.rows = ancestors.as<const int32_t>();
                 a.row_stride = ancestors.strides[0];
                 a.row_step = 1;
                 a.count = place + 1;
                 if (c.inputs() > 7) {
                   a.bias = c.input(7).as<const T>();
                   a.bias_head = c.input(7).strides[0];
                 }
                 run(c, a, keys.shape[0]);
               });
             },
         .bytes =
             [](const ForwardContext& c) {  // memory that the rows read if the cache is half full
               const double steps = static_cast<double>(c.input(5).shape[0]) / 2;
               const int64_t row = c.input(1).size() + c.input(2).size();
               return steps * static_cast<double>(row * size_of(c.output().dtype));
             },
         .strided_inputs = true}};

// Inputs: q, keys, values, memory, lengths.
constinit const Op shared_attention_op{
    .name = "shared_attention",
    .shape =
        [](ShapeContext& c) {
          const Shape out = attended_shape(c, 1, 2);
          const int64_t groups = c.input(3).size();
          expect_index(c, 3, "memory", {groups});
          expect_index(c, 4, "lengths", {c.input(1)[0]});
          if (groups == 0 ? out[0] != 0 : out[0] % groups != 0) {
            c.fail(fmt::format("{} rows are no multiple of {} memories", out[0], groups));
          }
          c.output(out, c.dtype());
        },
    .gradient = [](GradientContext&) {},
    .cpu = {.forward =
                [](const ForwardContext& c) {
                  const TensorView &keys = c.input(1), &values = c.input(2), &memory = c.input(3);
                  if (c.output().size() == 0) return;
                  TensorView entries = memory;
                  entries.strides[0] = 1;
                  check_rows(entries, 1, keys.shape[0], "the memory");
                  check_lengths(c.input(4), keys.shape[1]);
                  by_float_type(c.output().dtype, [&]<class T>() {
                    auto a = attention_of<T>(c, keys, values, 0, 1);
                    a.rows = memory.as<const int32_t>();
                    a.width = c.output().shape[0] / memory.shape[0];
                    a.row_stride = 1;
                    a.count = keys.shape[1];
                    a.lengths = c.input(4).as<const int32_t>();
                    run(c, a, keys.shape[1]);
                  });
                },
            .bytes =
                [](const ForwardContext& c) {
                  const TensorView &keys = c.input(1), &values = c.input(2);
                  const int64_t memories = std::max<int64_t>(keys.shape[0], 1);
                  const int64_t one = (keys.size() + values.size()) / memories;
                  return static_cast<double>(c.output().shape[0] * one * size_of(c.output().dtype));
                },
            .strided_inputs = true}};

}  // namespace

Var cached_attention(const Arg& q, const Arg& k, const Arg& v, const KeyValueCache& cache,
                     const Arg& ancestors, const Arg& place, double scale, const Var& bias) {
  for (const Tensor* part : {&cache.keys, &cache.values}) {
    if (*part && part->is_contiguous()) continue;
    fail("cached_attention", "the cache has to be contiguous memory", q.where, ErrorKind::usage);
  }
  const Arg query(dense_rows(as_var(q)), q.where), key(dense_rows(as_var(k)), k.where),
      value(dense_rows(as_var(v)), v.where), table(dense_rows(as_var(ancestors)), ancestors.where);
  // The shared value refers to the cache itself, so that the operator does not write to a copy.
  Graph& graph = query.var()->graph();
  Recycled<Arg> inputs{query,
                       key,
                       value,
                       table,
                       Arg(contiguous(place), place.where),
                       Arg(graph.shared(cache.keys, q.where), q.where),
                       Arg(graph.shared(cache.values, q.where), q.where)};
  if (!bias.is_empty()) inputs.emplace_back(dense_rows(bias), q.where);
  return record(cached_attention_op, inputs, CachedAttributes{scale});
}

Var shared_attention(const Arg& q, const Arg& keys, const Arg& values, const Arg& memory,
                     const Arg& lengths, double scale) {
  const Arg query(dense_rows(as_var(q)), q.where), key(dense_rows(as_var(keys)), keys.where),
      value(dense_rows(as_var(values)), values.where);
  return record(shared_attention_op,
                {query, key, value, Arg(contiguous(memory), memory.where),
                 Arg(contiguous(lengths), lengths.where)},
                CachedAttributes{scale});
}

}  // namespace v0
}  // namespace rapt
