// CTC by its definition: the sum over every path with one class per time step that yields the
// labels after merging repeats and removing blanks (Graves et al. 2006, equation 3).
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/rows/ctc.hpp"
#include "tests/ops/table/op_table.hpp"

namespace rapt::test {
namespace {

using Arrays = std::vector<Array>;

std::vector<int> labels_of(const std::vector<int>& path, int blank) {
  std::vector<int> labels;
  for (size_t t = 0; t < path.size(); ++t) {
    if (path[t] != blank && (t == 0 || path[t] != path[t - 1])) labels.push_back(path[t]);
  }
  return labels;
}

/// Returns the losses [B] of logits [B, T, V], targets [B, U] and both lengths [B].
Array losses_of(const Arrays& x, int blank) {
  const auto V = static_cast<int>(x[0].shape()[2]);
  Array losses(std::vector<size_t>{x[0].shape()[0]});
  for (size_t b = 0; b < losses.size(); ++b) {
    const auto T = static_cast<size_t>(x[2](b)), U = static_cast<size_t>(x[3](b));
    std::vector<int> wanted, path(T, 0);
    for (size_t u = 0; u < U; ++u) wanted.push_back(static_cast<int>(x[1](b, u)));
    double all = 0, right = 0;
    for (bool more = true; more;) {
      double weight = 1;
      for (size_t t = 0; t < T; ++t) weight *= std::exp(x[0](b, t, static_cast<size_t>(path[t])));
      all += weight;
      if (labels_of(path, blank) == wanted) right += weight;
      size_t t = 0;
      while (t < T && path[t] == V - 1) path[t++] = 0;
      more = t < T;
      if (more) ++path[t];
    }
    losses(b) = -std::log(right / all);
  }
  return losses;
}

Row ctc_row(const std::string& name, const CtcOptions& options, std::vector<Input> inputs) {
  return {
      .name = name,
      .inputs = std::move(inputs),
      .apply = [options](
                   const std::vector<Var>& v) { return ctc_loss(v[0], v[1], v[2], v[3], options); },
      .expected =
          [options](const Arrays& x) {
            Array losses = losses_of(x, options.blank);
            if (options.reduction == Reduction::none) return losses;
            double total = 0;
            const bool mean = options.reduction == Reduction::mean;
            for (size_t b = 0; b < losses.size(); ++b) {
              const double by = mean ? std::max(x[3](b), 1.0) : 1;
              const bool left_out = options.zero_infinity && std::isinf(losses(b));
              total += left_out ? 0 : losses(b) / by;
            }
            return Array(mean ? total / static_cast<double>(losses.size()) : total);
          }};
}

}  // namespace

std::vector<Row> ctc_rows() {
  constexpr DType integer = DType::int32;
  const CtcOptions each{.reduction = Reduction::none};
  return {
      ctc_row("ctc_loss", {},
              {{{3, 6, 4}}, {{3, 3}, 1, 4, integer}, {{3}, 5, 7, integer}, {{3}, 0, 4, integer}}),
      ctc_row("ctc_loss, each", each,
              {{{5, 5, 3}}, {{5, 3}, 1, 3, integer}, {{5}, 5, 6, integer}, {{5}, 0, 4, integer}}),
      ctc_row("ctc_loss, the last class is the blank", {.blank = 3, .reduction = Reduction::sum},
              {{{2, 5, 4}}, {{2, 2}, 0, 3, integer}, {{2}, 4, 6, integer}, {{2}, 1, 3, integer}}),
      // Five labels need at least five time steps, and most of these have fewer.
      ctc_row("ctc_loss, impossible ones are 0",
              {.reduction = Reduction::sum, .zero_infinity = true},
              {{{6, 6, 3}}, {{6, 5}, 1, 3, integer}, {{6}, 0, 7, integer}, {{6}, 0, 6, integer}}),
  };
}

}  // namespace rapt::test
