#include "models/layers/recurrent.hpp"

#include <cmath>
#include <numeric>

#include "framework/core/options.hpp"
#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/scope.hpp"
#include "ops/elementwise/dropout.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/shape/shape.hpp"
#include "ops/support/axes.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

RecurrentWeights::RecurrentWeights(int64_t gates, int64_t in, int64_t hidden, Key key) {
  check_at_least("RecurrentWeights", "in", in, 1);
  check_at_least("RecurrentWeights", "hidden", hidden, 1);
  const double bound = 1 / std::sqrt(static_cast<double>(hidden));
  weight_ih = Parameter(uniform(key.fold(0), {gates * hidden, in}, -bound, bound));
  weight_hh = Parameter(uniform(key.fold(1), {gates * hidden, hidden}, -bound, bound));
  bias_ih = Parameter(uniform(key.fold(2), {gates * hidden}, -bound, bound));
  bias_hh = Parameter(uniform(key.fold(3), {gates * hidden}, -bound, bound));
}

Var GRUCell::operator()(const Arg& x, const Arg& h) const {
  const Scope scope(*this, x.where);
  return gru_cell(x, h, weight_ih, weight_hh, bias_ih, bias_hh);
}

LstmState LSTMCell::operator()(const Arg& x, const LstmState& state) const {
  const Scope scope(*this, x.where);
  return lstm_cell(x, state, weight_ih, weight_hh, bias_ih, bias_hh);
}

namespace {

void make_layers(std::string_view layer_name, std::vector<RecurrentWeights>& forward,
                 std::vector<RecurrentWeights>& backward, int64_t gates, int64_t in, int64_t hidden,
                 Key key, const RecurrentOptions& options) {
  check_at_least(layer_name, "in", in, 1);
  check_at_least(layer_name, "hidden", hidden, 1);
  check_at_least(layer_name, "layers", options.layers, 1);
  check_share(layer_name, "dropout", options.dropout);
  for (int64_t layer = 0; layer < options.layers; ++layer) {
    const auto l = static_cast<uint64_t>(layer);
    const int64_t width = layer == 0 ? in : hidden * (options.bidirectional ? 2 : 1);
    forward.emplace_back(gates, width, hidden, key.fold(2 * l));
    if (options.bidirectional) backward.emplace_back(gates, width, hidden, key.fold(2 * l + 1));
  }
}

/// Returns the state of every row after its last step, [1, B, H]. Padded positions repeat the last
/// state, so it is at the last step. The backward direction ends at the first step.
Var last_of(const Var& states, bool reverse) {
  return slice(states, 0, reverse ? 0 : states.size(0) - 1, reverse ? 1 : to_end);
}

/// Returns x [B, T, C] with time first, [T, B, C], and zeros in place of padding. Padding, which
/// may be NaN, must not reach the gradient of the weights.
Var by_steps(const Arg& x, const Var& lengths) {
  const Var steps = transpose(x, 0, 1);
  const bool fits = !lengths.is_empty() && lengths.dtype() == DType::int32 &&
                    lengths.shape() == Shape{steps.size(1)};
  // Without lengths there is nothing to cut; the sequence operator reports invalid ones.
  if (!fits) return contiguous(steps);
  Tensor times({steps.size(0), 1}, DType::int32);
  std::iota(times.data<int32_t>().begin(), times.data<int32_t>().end(), 0);
  return where(unsqueeze(lengths > times, 2), steps, 0);
}

/// Runs all layers and directions of a stack. `sequence` runs one direction of one layer on its
/// gates and returns states [T, B, H].
template <class Sequence>
RecurrentOutput run_layers(std::string_view layer_name,
                           const std::vector<RecurrentWeights>& forward,
                           const std::vector<RecurrentWeights>& backward, double dropout_p,
                           const Arg& x, const Var& lengths, Sequence&& sequence) {
  const Shape shape = as_var(x).shape();
  if (shape.rank() == 3 && shape[1] == 0) {
    fail(layer_name, "expected sequences of one step or more, got " + to_string(shape), x.where);
  }
  Var input = by_steps(x, lengths);  // [T, B, C]
  Recycled<Var> last, last_cells;
  for (size_t layer = 0; layer < forward.size(); ++layer) {
    if (layer > 0) input = dropout(input, dropout_p);
    Recycled<Var> directions;
    for (const bool reverse : {false, true}) {
      if (reverse && backward.empty()) continue;
      const RecurrentWeights& weights = reverse ? backward[layer] : forward[layer];
      const Scope scope(weights, x.where);
      const Var gates = linear(input, weights.weight_ih, weights.bias_ih);  // [T, B, G H]
      const LstmState states = sequence(gates, weights, reverse);
      directions.push_back(states.h);
      last.push_back(last_of(states.h, reverse));
      if (!states.c.is_empty()) last_cells.push_back(last_of(states.c, reverse));
    }
    input = directions.size() == 1 ? directions[0] : concat(directions, -1);  // [T, B, D H]
  }
  return {transpose(input, 0, 1), last.size() == 1 ? last[0] : concat(last, 0),
          last_cells.empty()       ? Var()
          : last_cells.size() == 1 ? last_cells[0]
                                   : concat(last_cells, 0)};
}

/// Returns zeros [B, H] as the initial state.
Var initial_state(const Var& gates, const RecurrentWeights& weights) {
  return as_var(zeros({gates.size(1), weights.hidden()}, gates.dtype()));
}

}  // namespace

GRU::GRU(int64_t in, int64_t hidden, Key key, const RecurrentOptions& options)
    : dropout(options.dropout) {
  make_layers("GRU", forward, backward, 3, in, hidden, key, options);
}

RecurrentOutput GRU::operator()(const Arg& x, const Var& lengths) const {
  const Scope scope(*this, x.where);
  return run_layers("GRU", forward, backward, dropout, x, lengths,
                    [&](const Var& gates, const RecurrentWeights& w, bool reverse) {
                      return LstmState{gru_sequence(gates, initial_state(gates, w), w.weight_hh,
                                                    w.bias_hh, {lengths, reverse}),
                                       Var()};
                    });
}

LSTM::LSTM(int64_t in, int64_t hidden, Key key, const RecurrentOptions& options)
    : dropout(options.dropout) {
  make_layers("LSTM", forward, backward, 4, in, hidden, key, options);
}

RecurrentOutput LSTM::operator()(const Arg& x, const Var& lengths) const {
  const Scope scope(*this, x.where);
  return run_layers(
      "LSTM", forward, backward, dropout, x, lengths,
      [&](const Var& gates, const RecurrentWeights& w, bool reverse) {
        const Var zero = initial_state(gates, w);
        return lstm_sequence(gates, {zero, zero}, w.weight_hh, w.bias_hh, {lengths, reverse});
      });
}

}  // namespace v0
}  // namespace rapt
