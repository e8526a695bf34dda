#include "models/layers/ids.hpp"

#include <fmt/format.h>

#include "ops/support/axes.hpp"

namespace rapt::internal {

Arg checked_ids(std::string_view op, std::string_view what, const Arg& ids) {
  const Var var = as_var(ids);
  if (var.dtype() == DType::int32 && var.rank() == 2) return {var, ids.where};
  fail(op,
       fmt::format("expected {} int32 [rows, T], got {} {}", what, name(var.dtype()),
                   to_string(var.shape())),
       ids.where, var.dtype() == DType::int32 ? ErrorKind::shape : ErrorKind::type);
}

SentencePairs checked_pairs(std::string_view op, const Arg& source, const Arg& target_in) {
  const SentencePairs ids{checked_ids(op, "source", source),
                          checked_ids(op, "target_in", target_in)};
  const Shape from = ids.source.var()->shape(), to = ids.target.var()->shape();
  if (from[0] == to[0]) return ids;
  fail(op,
       fmt::format("expected as many rows of target_in as of source, got {} and {}", to_string(to),
                   to_string(from)),
       target_in.where);
}

}  // namespace rapt::internal
