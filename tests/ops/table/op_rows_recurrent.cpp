#include <cmath>

#include "ops/recurrent/recurrent.hpp"
#include "ops/shape/shape.hpp"
#include "tests/ops/table/op_table.hpp"

namespace rapt::test {
namespace {

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

size_t size(const Array& x, size_t axis) { return x.shape()[axis]; }

/// Returns row . weight[out, :] + bias[out], for row b of x.
double gate(const Array& x, size_t b, const Array& weight, const Array& bias, size_t out) {
  double total = bias(out);
  for (size_t j = 0; j < size(x, 1); ++j) total += x(b, j) * weight(out, j);
  return total;
}

Array linear_of(const Array& x, const Array& weight, const Array& bias) {
  Array y(std::vector<size_t>{size(x, 0), size(weight, 0)});
  for (size_t b = 0; b < size(y, 0); ++b) {
    for (size_t out = 0; out < size(y, 1); ++out) y(b, out) = gate(x, b, weight, bias, out);
  }
  return y;
}

/// torch.nn.GRUCell, starting from the gates of x. Rows with step >= length keep their state.
Array gru_step(const Array& gates_x, const Array& h, const Array& weight, const Array& bias,
               const Array& lengths, double step) {
  const size_t H = size(h, 1);
  Array out = h;
  for (size_t b = 0; b < size(h, 0); ++b) {
    if (lengths.size() > 1 && step >= lengths(b)) continue;
    for (size_t j = 0; j < H; ++j) {
      const double r = sigmoid_of(gates_x(b, j) + gate(h, b, weight, bias, j));
      const double z = sigmoid_of(gates_x(b, H + j) + gate(h, b, weight, bias, H + j));
      const double n = std::tanh(gates_x(b, 2 * H + j) + r * gate(h, b, weight, bias, 2 * H + j));
      out(b, j) = (1 - z) * n + z * h(b, j);
    }
  }
  return out;
}

/// torch.nn.LSTMCell on states [B, 2H]: h and c side by side.
Array lstm_step(const Array& gates_x, const Array& state, const Array& weight, const Array& bias,
                const Array& lengths, double step) {
  const size_t B = size(state, 0), H = size(state, 1) / 2;
  Array h(std::vector<size_t>{B, H});
  for (size_t b = 0; b < B; ++b) {
    for (size_t j = 0; j < H; ++j) h(b, j) = state(b, j);
  }
  Array out = state;
  for (size_t b = 0; b < B; ++b) {
    if (lengths.size() > 1 && step >= lengths(b)) continue;
    for (size_t j = 0; j < H; ++j) {
      double gates[4];
      for (size_t part = 0; part < 4; ++part) {
        const size_t out_index = part * H + j;
        gates[part] = gates_x(b, out_index) + gate(h, b, weight, bias, out_index);
      }
      const double cell =
          sigmoid_of(gates[1]) * state(b, H + j) + sigmoid_of(gates[0]) * std::tanh(gates[2]);
      out(b, j) = sigmoid_of(gates[3]) * std::tanh(cell);
      out(b, H + j) = cell;
    }
  }
  return out;
}

const Array none{0.0};

/// Runs the steps of a cell and stacks its states.
Array sequence(decltype(gru_step)* cell, const Array& gates_x, Array state, const Array& weight,
               const Array& bias, const Array& lengths, bool reverse) {
  const size_t T = size(gates_x, 0), B = size(state, 0), width = size(state, 1);
  Array states(std::vector<size_t>{T, B, width});
  for (size_t i = 0; i < T; ++i) {
    const size_t t = reverse ? T - 1 - i : i;
    Array gates(std::vector<size_t>{B, size(gates_x, 2)});
    for (size_t b = 0; b < B; ++b) {
      for (size_t j = 0; j < size(gates, 1); ++j) gates(b, j) = gates_x(t, b, j);
    }
    state = cell(gates, state, weight, bias, lengths, static_cast<double>(t));
    for (size_t b = 0; b < B; ++b) {
      for (size_t j = 0; j < width; ++j) states(t, b, j) = state(b, j);
    }
  }
  return states;
}

Array side_by_side(const Array& h, const Array& c) {
  const size_t H = size(h, 1);
  Array both(std::vector<size_t>{size(h, 0), 2 * H});
  for (size_t b = 0; b < size(h, 0); ++b) {
    for (size_t j = 0; j < H; ++j) {
      both(b, j) = h(b, j);
      both(b, H + j) = c(b, j);
    }
  }
  return both;
}

Array first_half(const Array& states) {
  const size_t H = size(states, 2) / 2;
  Array half(std::vector<size_t>{size(states, 0), size(states, 1), H});
  for (size_t t = 0; t < size(states, 0); ++t) {
    for (size_t b = 0; b < size(states, 1); ++b) {
      for (size_t j = 0; j < H; ++j) half(t, b, j) = states(t, b, j);
    }
  }
  return half;
}

Var both(const LstmState& state) { return concat({state.h, state.c}, -1); }

// [0, 5) for sequences of at most four steps: includes rows without any step and full rows.
const Input lengths_input{{3}, 0, 5, DType::int32};

Row gru_sequence_row(const std::string& name, bool lengths, bool reverse) {
  Row row{.name = name,
          .inputs = {{{4, 3, 15}}, {{3, 5}}, {{15, 5}}, {{15}}},
          .apply =
              [=](const std::vector<Var>& v) {
                return gru_sequence(v[0], v[1], v[2], v[3],
                                    {.lengths = lengths ? v[4] : Var(), .reverse = reverse});
              },
          .expected =
              [=](const std::vector<Array>& x) {
                return sequence(gru_step, x[0], x[1], x[2], x[3], lengths ? x[4] : none, reverse);
              }};
  if (lengths) row.inputs.push_back(lengths_input);
  return row;
}

Row lstm_sequence_row(const std::string& name, bool lengths, bool reverse, bool cells) {
  Row row{.name = name,
          .inputs = {{{4, 3, 12}}, {{3, 3}}, {{3, 3}}, {{12, 3}}, {{12}}},
          .apply =
              [=](const std::vector<Var>& v) {
                const LstmState states =
                    lstm_sequence(v[0], {v[1], v[2]}, v[3], v[4],
                                  {.lengths = lengths ? v[5] : Var(), .reverse = reverse});
                return cells ? both(states) : states.h;
              },
          .expected =
              [=](const std::vector<Array>& x) {
                const Array states = sequence(lstm_step, x[0], side_by_side(x[1], x[2]), x[3], x[4],
                                              lengths ? x[5] : none, reverse);
                return cells ? states : first_half(states);
              }};
  if (lengths) row.inputs.push_back(lengths_input);
  return row;
}

}  // namespace

std::vector<Row> recurrent_rows() {
  std::vector<Row> rows;
  rows.push_back(
      {.name = "gru_cell",
       .inputs = {{{3, 4}}, {{3, 5}}, {{15, 4}}, {{15, 5}}, {{15}}, {{15}}},
       .apply =
           [](const std::vector<Var>& v) { return gru_cell(v[0], v[1], v[2], v[3], v[4], v[5]); },
       .expected =
           [](const std::vector<Array>& x) {
             return gru_step(linear_of(x[0], x[2], x[4]), x[1], x[3], x[5], none, 0);
           }});
  rows.push_back(
      {.name = "gru_gates with lengths",
       .inputs = {{{3, 15}}, {{3, 5}}, {{15, 5}}, {{15}}, lengths_input},
       .apply =
           [](const std::vector<Var>& v) {
             return gru_gates(v[0], v[1], v[2], v[3], {.lengths = v[4], .step = 2});
           },
       .expected =
           [](const std::vector<Array>& x) { return gru_step(x[0], x[1], x[2], x[3], x[4], 2); }});
  rows.push_back(gru_sequence_row("gru_sequence", false, false));
  rows.push_back(gru_sequence_row("gru_sequence, reverse", false, true));
  rows.push_back(gru_sequence_row("gru_sequence with lengths", true, false));
  rows.push_back(gru_sequence_row("gru_sequence with lengths, reverse", true, true));

  rows.push_back({.name = "lstm_cell",
                  .inputs = {{{3, 4}}, {{3, 5}}, {{3, 5}}, {{20, 4}}, {{20, 5}}, {{20}}, {{20}}},
                  .apply =
                      [](const std::vector<Var>& v) {
                        return both(lstm_cell(v[0], {v[1], v[2]}, v[3], v[4], v[5], v[6]));
                      },
                  .expected =
                      [](const std::vector<Array>& x) {
                        return lstm_step(linear_of(x[0], x[3], x[5]), side_by_side(x[1], x[2]),
                                         x[4], x[6], none, 0);
                      }});
  rows.push_back(
      {.name = "lstm_gates with lengths",
       .inputs = {{{3, 12}}, {{3, 3}}, {{3, 3}}, {{12, 3}}, {{12}}, lengths_input},
       .apply =
           [](const std::vector<Var>& v) {
             return both(lstm_gates(v[0], {v[1], v[2]}, v[3], v[4], {.lengths = v[5], .step = 1}));
           },
       .expected =
           [](const std::vector<Array>& x) {
             return lstm_step(x[0], side_by_side(x[1], x[2]), x[3], x[4], x[5], 1);
           }});
  rows.push_back(lstm_sequence_row("lstm_sequence", false, false, false));
  rows.push_back(lstm_sequence_row("lstm_sequence and its cells", false, false, true));
  rows.push_back(lstm_sequence_row("lstm_sequence with lengths", true, false, true));
  rows.push_back(lstm_sequence_row("lstm_sequence with lengths, reverse", true, true, true));
  return rows;
}

}  // namespace rapt::test
