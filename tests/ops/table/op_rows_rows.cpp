// Softmax, normalisation, losses, embedding: the oracles are loops over the rows of the last axis.
#include <cmath>
#include <limits>

#include "ops/elementwise/elementwise.hpp"
#include "ops/rows/loss.hpp"
#include "ops/rows/norm.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/embedding.hpp"
#include "tests/ops/table/op_table.hpp"
#include "tests/support/xtensor.hpp"

namespace rapt::test {
namespace {

using Vars = std::vector<Var>;
using Arrays = std::vector<Array>;
using Sizes = std::vector<size_t>;

Array broadcast_as(const Array& x, const Array& like) { return xt::broadcast(x, like.shape()); }

/// Returns the softmax of the last axis over the elements that `keep` (of x's shape) selects.
Array plain_softmax(const Array& x, const Array& keep) {
  Array y = x;
  const size_t width = x.shape().back();
  for (size_t start = 0; start < x.size(); start += width) {
    double total = 0;
    for (size_t i = start; i < start + width; ++i) {
      y.flat(i) = keep.flat(i) != 0 ? std::exp(x.flat(i)) : 0;
      total += y.flat(i);
    }
    for (size_t i = start; total > 0 && i < start + width; ++i) y.flat(i) /= total;
  }
  return y;
}

Array plain_softmax(const Array& x) { return plain_softmax(x, xt::ones_like(x)); }

/// Returns its logarithm for kept elements; 0 elsewhere.
Array plain_log_softmax(const Array& x, const Array& keep) {
  Array y = plain_softmax(x, keep);
  for (double& v : y) v = v > 0 ? std::log(v) : 0;
  return y;
}

Array plain_norm(const Array& x, double eps, bool centred) {
  Array y = x;
  const size_t width = x.shape().back();
  for (size_t start = 0; start < x.size(); start += width) {
    double mean = 0, squares = 0;
    for (size_t i = start; centred && i < start + width; ++i) mean += x.flat(i);
    mean /= static_cast<double>(width);
    for (size_t i = start; i < start + width; ++i) squares += std::pow(x.flat(i) - mean, 2);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + eps);
    for (size_t i = start; i < start + width; ++i) y.flat(i) = (x.flat(i) - mean) * scale;
  }
  return y;
}

/// torch.nn.functional.cross_entropy, written from its documentation.
Array plain_cross_entropy(const Arrays& v, double ignore, double smoothing, Reduction reduction) {
  const Array &x = v[0], &labels = v[1];
  const size_t classes = x.shape().back();
  Array losses = labels;
  double total = 0, weights = 0;
  for (size_t r = 0; r < labels.size(); ++r) {
    losses.flat(r) = 0;
    if (labels.flat(r) == ignore) continue;
    const auto label = static_cast<size_t>(labels.flat(r));
    double sum = 0;
    for (size_t j = 0; j < classes; ++j) sum += std::exp(x.flat(r * classes + j));
    const auto weight = [&](size_t j) { return v.size() == 3 ? v[2].flat(j) : 1.0; };
    const auto minus_log_p = [&](size_t j) { return std::log(sum) - x.flat(r * classes + j); };
    double loss = (1 - smoothing) * weight(label) * minus_log_p(label);
    for (size_t j = 0; j < classes; ++j) {
      loss += smoothing / static_cast<double>(classes) * weight(j) * minus_log_p(j);
    }
    losses.flat(r) = loss;
    total += loss;
    weights += weight(label);
  }
  if (reduction == Reduction::none) return losses;
  return reduction == Reduction::sum ? Array(total) : Array(total / weights);
}

Row cross_entropy_row(const std::string& name, const std::vector<Input>& inputs, int32_t ignore,
                      double smoothing, Reduction reduction) {
  return {
      .name = "cross_entropy, " + name,
      .inputs = inputs,
      .apply =
          [=](const Vars& v) {
            // Class weights are drawn as int32, so they get no gradient.
            CrossEntropyOptions options{
                .ignore = ignore, .label_smoothing = smoothing, .reduction = reduction};
            if (v.size() == 3) options.weight = cast(v[2], v[0].dtype());
            return cross_entropy(v[0], v[1], options);
          },
      .expected =
          [=](const Arrays& v) { return plain_cross_entropy(v, ignore, smoothing, reduction); }};
}

Input mask_of(const Shape& shape) { return {shape, 0, 2, DType::boolean}; }
Input numbers(const Shape& shape, double low, double high) {
  return {shape, low, high, DType::int32};
}

void add_softmax(std::vector<Row>& rows) {
  const auto plain = [](const Vars& v) { return softmax(v[0]); };
  for (const Shape& shape : {Shape{2, 3, 5}, Shape{1}, Shape{3, 1}, Shape{2, 35}}) {
    rows.push_back({.name = "softmax " + to_string(shape),
                    .inputs = {{shape}},
                    .apply = plain,
                    .expected = [](const Arrays& v) { return plain_softmax(v[0]); }});
  }
  rows.push_back({.name = "softmax of large values",
                  .inputs = {{{3, 4}, 700, 702}},
                  .apply = plain,
                  .expected = [](const Arrays& v) { return plain_softmax(v[0] - 700.0); },
                  .tolerance = 2e-4});  // values of 700 have a spacing of 6e-5 in float
  rows.push_back({.name = "softmax along the first axis",
                  .inputs = {{{4, 2, 3}}},
                  .apply = [](const Vars& v) { return softmax(v[0], {.axis = 0}); },
                  .expected =
                      [](const Arrays& v) {
                        const Array turned = xt::transpose(v[0], Sizes{1, 2, 0});
                        return Array(xt::transpose(plain_softmax(turned), Sizes{2, 0, 1}));
                      }});
  // Among 24 rows of 2 elements, some keep nothing.
  for (const Shape& mask :
       {Shape{4, 6, 2}, Shape{4, 1, 2}, Shape{6, 2}, Shape{2}, Shape{4, 6, 1}, Shape{1}, Shape{}}) {
    rows.push_back(
        {.name = "softmax, mask " + to_string(mask),
         .inputs = {{{4, 6, 2}}, mask_of(mask)},
         .apply = [](const Vars& v) { return softmax(v[0], {.mask = v[1]}); },
         .expected =
             [](const Arrays& v) { return plain_softmax(v[0], broadcast_as(v[1], v[0])); }});
  }
  for (const Shape& mask : {Shape{2, 3, 4}, Shape{3, 1}, Shape{4}}) {
    rows.push_back({.name = "softmax along the middle axis, mask " + to_string(mask),
                    .inputs = {{{2, 3, 4}}, mask_of(mask)},
                    .apply = [](const Vars& v) { return softmax(v[0], {.axis = 1, .mask = v[1]}); },
                    .expected =
                        [](const Arrays& v) {
                          const Sizes turn{0, 2, 1};
                          const Array x = xt::transpose(v[0], turn);
                          const Array keep = xt::transpose(broadcast_as(v[1], v[0]), turn);
                          return Array(xt::transpose(plain_softmax(x, keep), turn));
                        }});
  }
  rows.push_back(
      {.name = "softmax of masked scores",
       .inputs = {{{4, 6, 2}}, mask_of({6, 2})},
       .apply = [](const Vars& v) { return softmax(masked(v[0], v[1])); },
       .expected = [](const Arrays& v) { return plain_softmax(v[0], broadcast_as(v[1], v[0])); }});
  rows.push_back(
      {.name = "log_softmax",
       .inputs = {{{2, 3, 5}}},
       .apply = [](const Vars& v) { return log_softmax(v[0]); },
       .expected = [](const Arrays& v) { return plain_log_softmax(v[0], xt::ones_like(v[0])); }});
  rows.push_back({.name = "log_softmax along the first axis",
                  .inputs = {{{4, 3}}},
                  .apply = [](const Vars& v) { return log_softmax(v[0], {.axis = -2}); },
                  .expected =
                      [](const Arrays& v) {
                        const Array x = xt::transpose(v[0]);
                        return Array(xt::transpose(plain_log_softmax(x, xt::ones_like(x))));
                      }});
  rows.push_back(
      {.name = "log_softmax, mask",
       .inputs = {{{4, 6, 3}}, mask_of({4, 6, 3})},
       .apply = [](const Vars& v) { return where(v[1], log_softmax(v[0], {.mask = v[1]}), 0); },
       .expected = [](const Arrays& v) { return plain_log_softmax(v[0], v[1]); }});
}

void add_norms(std::vector<Row>& rows) {
  for (const Shape& shape : {Shape{2, 3, 5}, Shape{35}, Shape{19, 3}}) {
    const Shape width{shape[-1]};
    rows.push_back(
        {.name = "layer_norm " + to_string(shape),
         .inputs = {{shape}, {width}, {width}},
         .apply = [](const Vars& v) { return layer_norm(v[0], v[1], v[2]); },
         .expected =
             [](const Arrays& v) { return Array(plain_norm(v[0], 1e-5, true) * v[1] + v[2]); }});
    rows.push_back(
        {.name = "rms_norm " + to_string(shape),
         .inputs = {{shape}, {width}},
         .apply = [](const Vars& v) { return rms_norm(v[0], v[1], 0.1); },
         .expected = [](const Arrays& v) { return Array(plain_norm(v[0], 0.1, false) * v[1]); }});
  }
}

void add_losses(std::vector<Row>& rows) {
  using enum Reduction;
  const Input logits{{2, 5, 7}}, labels = numbers({2, 5}, 0, 7);
  const Input some_ignored = numbers({2, 5}, -1, 7), weight = numbers({7}, 1, 5);
  rows.push_back(cross_entropy_row("mean", {logits, labels}, -100, 0, mean));
  rows.push_back(cross_entropy_row("sum", {logits, labels}, -100, 0, sum));
  rows.push_back(cross_entropy_row("none", {logits, labels}, -100, 0, none));
  rows.push_back(cross_entropy_row("mean, ignored", {logits, some_ignored}, -1, 0, mean));
  rows.push_back(cross_entropy_row("mean, a class ignored", {logits, labels}, 3, 0.1, mean));
  rows.push_back(cross_entropy_row("none, ignored", {logits, some_ignored}, -1, 0.2, none));
  rows.push_back(cross_entropy_row("mean, smoothed", {logits, some_ignored}, -1, 0.1, mean));
  rows.push_back(cross_entropy_row("smoothed to the limit", {logits, labels}, -1, 1, mean));
  rows.push_back(cross_entropy_row("mean, weights", {logits, some_ignored, weight}, -1, 0, mean));
  rows.push_back(
      cross_entropy_row("mean, all options", {logits, some_ignored, weight}, -1, 0.3, mean));
  rows.push_back(
      cross_entropy_row("sum, all options", {logits, some_ignored, weight}, -1, 0.3, sum));
  rows.push_back(cross_entropy_row("one position", {{{7}}, numbers({}, 0, 7)}, -1, 0, mean));
  rows.push_back(
      cross_entropy_row("more than a register", {{{3, 37}}, numbers({3}, 0, 37)}, -1, 0.1, mean));

  const std::vector<Input> pair{{{3, 4}}, {{3, 4}, 0, 1}};
  const auto error = [](const Arrays& v) { return Array((v[0] - v[1]) * (v[0] - v[1])); };
  const auto entropy = [](const Arrays& v) {
    const Array s = 1 / (1 + xt::exp(-v[0]));
    return Array(-(v[1] * xt::log(s) + (1 - v[1]) * xt::log(1 - s)));
  };
  rows.push_back({.name = "mse_loss, mean",
                  .inputs = pair,
                  .apply = [](const Vars& v) { return mse_loss(v[0], v[1]); },
                  .expected = [=](const Arrays& v) { return Array(xt::sum(error(v))() / 12); }});
  rows.push_back({.name = "mse_loss, sum",
                  .inputs = pair,
                  .apply = [](const Vars& v) { return mse_loss(v[0], v[1], sum); },
                  .expected = [=](const Arrays& v) { return Array(xt::sum(error(v))()); }});
  rows.push_back({.name = "mse_loss, none",
                  .inputs = pair,
                  .apply = [](const Vars& v) { return mse_loss(v[0], v[1], none); },
                  .expected = error});
  rows.push_back(
      {.name = "binary_cross_entropy_with_logits, mean",
       .inputs = pair,
       .apply = [](const Vars& v) { return binary_cross_entropy_with_logits(v[0], v[1]); },
       .expected = [=](const Arrays& v) { return Array(xt::sum(entropy(v))() / 12); }});
  rows.push_back(
      {.name = "binary_cross_entropy_with_logits, none",
       .inputs = pair,
       .apply = [](const Vars& v) { return binary_cross_entropy_with_logits(v[0], v[1], none); },
       .expected = entropy});
}

void add_embedding(std::vector<Row>& rows) {
  for (const Shape& ids : {Shape{2, 6}, Shape{}, Shape{3}}) {  // twelve ids below five: some repeat
    rows.push_back({.name = "embedding, ids " + to_string(ids),
                    .inputs = {numbers(ids, 0, 5), {{5, 3}}},
                    .apply = [](const Vars& v) { return embedding(v[0], v[1]); },
                    .expected =
                        [](const Arrays& v) {
                          Sizes shape(v[0].shape().begin(), v[0].shape().end());
                          shape.push_back(3);
                          Array y(shape);
                          for (size_t i = 0; i < y.size(); ++i) {
                            y.flat(i) = v[1](static_cast<size_t>(v[0].flat(i / 3)), i % 3);
                          }
                          return y;
                        }});
  }
}

}  // namespace

std::vector<Row> row_rows() {
  std::vector<Row> rows;
  add_softmax(rows);
  add_norms(rows);
  add_losses(rows);
  add_embedding(rows);
  return rows;
}

}  // namespace rapt::test
