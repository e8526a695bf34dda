#include <fmt/format.h>

#include <rapt/framework/error.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/mask.hpp>
#include <rapt/ops/shape.hpp>

namespace rapt {
namespace {

[[noreturn]] void fail(const std::string& message, SourceLocation where) {
  throw Error(fmt::format("mask: {}; at {}", message, to_string(where)));
}

Var join(const Var& a, const Var& b, Var (*both)(const Arg&, const Arg&)) {
  return !a ? b : !b ? a : both(a, b);
}

Tensor causal_keep(int64_t queries, int64_t keys) {
  Tensor keep({1, 1, queries, keys}, DType::boolean);
  bool* row = keep.data<bool>().data();
  for (int64_t i = 0; i < queries; ++i, row += keys) {
    for (int64_t j = 0; j < keys; ++j) row[j] = j <= i + keys - queries;
  }
  return keep;
}

Tensor places(int64_t keys) {
  Tensor result({keys}, DType::int32);
  int32_t next = 0;
  for (int32_t& place : result.data<int32_t>()) place = next++;
  return result;
}

}  // namespace

Mask causal() { return {.causal = true}; }

Mask lengths(const Arg& key_lengths) {
  const Var var = as_var(key_lengths);
  if (var.dtype() != DType::int32 || var.rank() != 1) {
    fail(fmt::format("expected lengths int32 [B], got {} {}", name(var.dtype()),
                     to_string(var.shape())),
         key_lengths.where);
  }
  return {.key_lengths = var};
}

Mask keep(const Arg& keep) {
  const Var var = as_var(keep);
  const Shape s = var.shape();
  if (var.dtype() != DType::boolean || s.rank() < 2 || s.rank() > 4) {
    fail(fmt::format("expected a boolean [B, Tk], [B, Tq, Tk] or [B, H, Tq, Tk] to keep, got {} {}",
                     name(var.dtype()), to_string(s)),
         keep.where);
  }
  if (s.rank() == 4) return {.keep = var};
  return {.keep = reshape(Arg(var, keep.where), {s[0], 1, s.rank() == 3 ? s[1] : 1, s[-1]})};
}

Mask operator&(const Mask& a, const Mask& b) {
  return {.causal = a.causal || b.causal,
          .key_lengths = join(a.key_lengths, b.key_lengths, minimum),
          .keep = join(a.keep, b.keep, logical_and)};
}

Var as_boolean(const Mask& mask, Graph& graph, int64_t batch, int64_t queries, int64_t keys) {
  const SourceLocation here = SourceLocation::current();
  Var result;
  if (mask.key_lengths) {
    if (mask.key_lengths.size(0) != batch) {
      throw Error(
          fmt::format("mask: {} lengths for a batch of {}", mask.key_lengths.size(0), batch));
    }
    const Var place = graph.constant(places(keys), here);
    result = place < reshape(mask.key_lengths, {batch, 1, 1, 1});  // [B, 1, 1, Tk]
  }
  if (mask.keep) {
    const Shape s = mask.keep.shape();
    if ((s[0] != batch && s[0] != 1) || (s[2] != queries && s[2] != 1) || s[3] != keys) {
      throw Error(fmt::format("mask: {} does not fit a batch of {}, {} queries and {} keys",
                              to_string(s), batch, queries, keys));
    }
    result = join(result, mask.keep, logical_and);
  }
  if (mask.causal) {
    result = join(result, graph.constant(causal_keep(queries, keys), here), logical_and);
  }
  return result ? result : graph.constant(full({1, 1, 1, 1}, 1, DType::boolean), here);
}

}  // namespace rapt
