#include "ops/attention/mask.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/axes.hpp"
#include "ops/support/row_split.hpp"
#include "ops/support/strided.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

[[noreturn]] void fail(const std::string& message, SourceLocation where,
                       ErrorKind kind = ErrorKind::shape) {
  rapt::fail("mask", message, where, kind);
}

/// Returns the kind of a failure of an operand whose type and shape are checked together.
ErrorKind kind_of(const Var& var, DType expected) {
  return var.dtype() == expected ? ErrorKind::shape : ErrorKind::type;
}

Var join(const Var& a, const Var& b, Var (*both)(const Arg&, const Arg&)) {
  return a.is_empty() ? b : b.is_empty() ? a : both(a, b);
}

/// Returns a mask [1, 1, Tq, Tk] of the keys inside the window and, if `is_causal`, not after the
/// query's position.
Tensor band_keep(int64_t queries, int64_t keys, bool is_causal, int64_t window) {
  Tensor keep({1, 1, queries, keys}, DType::boolean);
  bool* row = keep.data<bool>().data();
  for (int64_t i = 0; i < queries; ++i, row += keys) {
    const int64_t place = i + keys - queries;
    for (int64_t j = 0; j < keys; ++j) {
      row[j] = (!is_causal || j <= place) && (window < 0 || std::abs(j - place) <= window);
    }
  }
  return keep;
}

Tensor places(int64_t keys) {
  Tensor result({keys}, DType::int32);
  int32_t next = 0;
  for (int32_t& place : result.data<int32_t>()) place = next++;
  return result;
}

Var checked_ids(const Arg& ids) {
  const Var var = as_var(ids);
  if (var.dtype() != DType::int32 || var.rank() != 2) {
    fail(fmt::format("expected documents int32 [B, T], got {} {}", name(var.dtype()),
                     to_string(var.shape())),
         ids.where, kind_of(var, DType::int32));
  }
  return var;
}

/// True where query and key belong to the same document, [B or 1, 1, Tq, Tk].
Var same_document(const Mask& mask) {
  return eq(unsqueeze(unsqueeze(mask.query_documents, 1), 3),
            unsqueeze(unsqueeze(mask.key_documents, 1), 1));
}

/// Copies lengths after checking at run time that they are within 0 .. most.
struct LengthsAttributes {
  int64_t most;
};
constinit const Op lengths_op{.name = "lengths",
                              .shape = [](ShapeContext& c) { return c.input(0); },
                              .cpu = {.forward = [](const ForwardContext& c) {
                                const auto most = c.attributes<LengthsAttributes>().most;
                                check_lengths(c.input(0), most);
                                copy(c, c.input(0), c.output());
                              }}};

void check_batch(const Var& var, int64_t batch, const char* what, SourceLocation where) {
  const int64_t size = var.size(0);
  if (size != batch && size != 1) {
    fail(fmt::format("{} {} for a batch of {}", size, what, batch), where);
  }
}

}  // namespace

Mask causal() { return {.causal = true}; }

Mask lengths(const Arg& key_lengths) {
  const Var var = as_var(key_lengths);
  if (var.dtype() != DType::int32 || var.rank() != 1) {
    fail(fmt::format("expected lengths int32 [B], got {} {}", name(var.dtype()),
                     to_string(var.shape())),
         key_lengths.where, kind_of(var, DType::int32));
  }
  return {.key_lengths = var};
}

Mask sliding_window(int64_t width) {
  if (width < 0) {
    throw Error(
        {.op = "sliding_window", .detail = fmt::format("expected 0 or more keys, got {}", width)});
  }
  return {.window = width};
}

Mask prefix(const Arg& keys) {
  if (keys.is_number()) {
    Graph* graph = Graph::current();
    if (graph == nullptr) {
      fail("there is no tape to record on: Tape tape; comes first", keys.where, ErrorKind::usage);
    }
    return {.prefix = reshape(Arg(keys.on(*graph, DType::int32), keys.where), {1})};
  }
  const Var var = as_var(keys);
  if (var.dtype() != DType::int32 || var.rank() != 1) {
    fail(fmt::format("expected a prefix int32 [B], got {} {}", name(var.dtype()),
                     to_string(var.shape())),
         keys.where, kind_of(var, DType::int32));
  }
  return {.prefix = var};
}

Mask documents(const Arg& ids) { return documents(ids, ids); }

Mask documents(const Arg& query_ids, const Arg& key_ids) {
  return {.query_documents = checked_ids(query_ids), .key_documents = checked_ids(key_ids)};
}

Mask keep(const Arg& keep) {
  const Var var = as_var(keep);
  const Shape s = var.shape();
  if (var.dtype() != DType::boolean || s.rank() < 2 || s.rank() > 4) {
    fail(fmt::format("expected a boolean [B, Tk], [B, Tq, Tk] or [B, H, Tq, Tk] to keep, got {} {}",
                     name(var.dtype()), to_string(s)),
         keep.where, kind_of(var, DType::boolean));
  }
  if (s.rank() == 4) return {.keep = var};
  return {.keep = reshape(Arg(var, keep.where), {s[0], 1, s.rank() == 3 ? s[1] : 1, s[-1]})};
}

Mask additive(const Arg& bias) {
  Var var = as_var(bias);
  if (!is_float(var.dtype()) || var.rank() > 4) {
    fail(fmt::format("expected a float bias that broadcasts to [B, H, Tq, Tk], got {} {}",
                     name(var.dtype()), to_string(var.shape())),
         bias.where, is_float(var.dtype()) ? ErrorKind::shape : ErrorKind::type);
  }
  while (var.rank() < 4) var = unsqueeze(Arg(var, bias.where), 0);
  return {.bias = var};
}

Mask operator&(const Mask& a, const Mask& b) {
  Mask both{.causal = a.causal || b.causal,
            .window = a.window < 0   ? b.window
                      : b.window < 0 ? a.window
                                     : std::min(a.window, b.window),
            .key_lengths = join(a.key_lengths, b.key_lengths, minimum),
            .prefix = join(a.prefix, b.prefix, minimum),
            .query_documents = a.query_documents.is_empty() ? b.query_documents : a.query_documents,
            .key_documents = a.key_documents.is_empty() ? b.key_documents : a.key_documents,
            .keep = join(a.keep, b.keep, logical_and),
            .bias = join(a.bias, b.bias, add)};
  // The prefix mask also shows all keys up to the query. So the causal mask makes it redundant.
  if (both.causal) both.prefix = Var();
  if (!a.query_documents.is_empty() && !b.query_documents.is_empty()) {
    both.keep = join(both.keep, same_document(b), logical_and);
  }
  return both;
}

Var as_boolean(const Mask& mask, Graph& graph, int64_t batch, int64_t queries, int64_t keys,
               SourceLocation here) {
  const Scope scope(here);
  Var result;
  if (!mask.key_lengths.is_empty()) {
    if (mask.key_lengths.size(0) != batch) {
      fail(fmt::format("{} lengths for a batch of {}", mask.key_lengths.size(0), batch), here);
    }
    const Var place = graph.constant(places(keys), here);
    const Var checked = record(lengths_op, {mask.key_lengths}, LengthsAttributes{keys});
    result = place < reshape(checked, {batch, 1, 1, 1});  // [B, 1, 1, Tk]
  }
  if (!mask.keep.is_empty()) {
    const Shape s = mask.keep.shape();
    if ((s[0] != batch && s[0] != 1) || (s[2] != queries && s[2] != 1) || s[3] != keys) {
      fail(fmt::format("{} does not fit a batch of {}, {} queries and {} keys", to_string(s), batch,
                       queries, keys),
           here);
    }
    result = join(result, mask.keep, logical_and);
  }
  if (mask.causal || mask.window >= 0) {
    const Tensor band = band_keep(queries, keys, mask.causal, mask.window);
    result = join(result, graph.constant(band, here), logical_and);
  }
  if (!mask.prefix.is_empty()) {
    check_batch(mask.prefix, batch, "prefixes", here);
    const Var place = graph.constant(places(keys), here);
    const Var first = place < reshape(mask.prefix, {mask.prefix.size(0), 1, 1, 1});
    const Var before = graph.constant(band_keep(queries, keys, true, -1), here);
    result = join(result, logical_or(first, before), logical_and);
  }
  if (!mask.query_documents.is_empty()) {
    check_batch(mask.query_documents, batch, "rows of documents", here);
    check_batch(mask.key_documents, batch, "rows of documents", here);
    if (mask.query_documents.size(1) != queries || mask.key_documents.size(1) != keys) {
      fail(fmt::format("documents {} and {} do not fit {} queries and {} keys",
                       to_string(mask.query_documents.shape()),
                       to_string(mask.key_documents.shape()), queries, keys),
           here);
    }
    result = join(result, same_document(mask), logical_and);
  }
  if (!mask.bias.is_empty()) {
    const Var hidden =
        graph.constant(-std::numeric_limits<double>::infinity(), mask.bias.dtype(), here);
    result = join(result, mask.bias > hidden, logical_and);
  }
  return result.is_empty() ? graph.constant(full({1, 1, 1, 1}, 1, DType::boolean), here) : result;
}

Var masked(const Arg& scores, const Mask& mask) {
  const Var x = as_var(scores);
  if (x.rank() != 3 && x.rank() != 4) {
    fail(fmt::format("expected scores [B, Tq, Tk] or [B, H, Tq, Tk], got {}", to_string(x.shape())),
         scores.where);
  }
  if (mask.limits_nothing()) return x;
  const bool heads = x.rank() == 4;
  const auto fitted = [&](const Var& of_pairs) { return heads ? of_pairs : squeeze(of_pairs, 1); };
  Mask hiding = mask;
  hiding.bias = Var();
  Var result = x;
  if (!mask.bias.is_empty()) result = x + fitted(mask.bias);
  if (hiding.limits_nothing()) return result;
  return masked(result, fitted(as_boolean(hiding, x.graph(), x.size(0), x.size(-2), x.size(-1),
                                          scores.where)));
}

}  // namespace v0
}  // namespace rapt
