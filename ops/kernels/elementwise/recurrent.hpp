// The pointwise part of one GRU step and one LSTM step, forward and backward. It runs in one pass
// over each row after the two matrix products of the cell.
//
// Rows are independent, so any split of the rows gives bitwise identical results. Each operand is a
// pointer and its row stride in elements. Each row is contiguous.
#pragma once

#include <cstdint>

#include "ops/kernels/simd/table.hpp"

namespace rapt::kernels {

/// A [rows, n] operand whose rows are `stride` elements apart.
template <class T>
struct Rows {
  T* data = nullptr;
  int64_t stride = 0;
};

/// Selects the rows of a padded batch that take part in a step. If both `keep` and `lengths` are
/// given, both must allow a row. If neither is given, all rows take part. The other rows pass their
/// state on unchanged, so a sentence has the same states in a batch as alone.
struct ActiveRows {
  const uint8_t* keep = nullptr;  // [B]; nonzero: the row takes part
  int64_t keep_stride = 1;
  const int32_t* lengths = nullptr;  // [B]; the row takes part while step < length
  int64_t step = 0;
};

/// Computes h' = (1 - z) n + z h with r, z = sigmoid(x_rz + h_rz) and n = tanh(x_n + r h_n), where
/// h_n includes its bias. This is the GRU of Cho et al. (2014) in the variant of torch.nn.GRUCell.
template <class T>
struct GruForward {
  int64_t hidden = 0;         // H
  Rows<const T> gates_x;      // [B, 3H]: x W_ih^T + b_ih; parts r, z, n
  Rows<const T> gates_h;      // [B, 3H]: h W_hh^T
  const T* bias_h = nullptr;  // [3H]: b_hh, or null
  Rows<const T> h;            // [B, H]
  Rows<T> h_out;              // [B, H]; may be h itself
  Rows<T> saved;              // [B, 4H]: r, z, n, h_n for the backward pass, or null
  ActiveRows active;
};

template <class T>
struct GruBackward {
  int64_t hidden = 0;
  Rows<const T> grad_out;  // [B, H]: gradient of h'
  Rows<const T> h;         // [B, H]
  Rows<const T> saved;     // [B, 4H]
  Rows<T> grad_gates_x;    // [B, 3H]
  Rows<T> grad_gates_h;    // [B, 3H]; its sum over rows is the gradient of bias_h
  Rows<T> grad_h;          // [B, H]: only the direct path, not the path through gates_h
  ActiveRows active;
};

/// Computes c' = f c + i g and h' = o tanh(c'), where i, f, o = sigmoid and g = tanh of their
/// gates. This is the LSTM of Hochreiter and Schmidhuber (1997) with forget gates, as
/// torch.nn.LSTMCell.
template <class T>
struct LstmForward {
  int64_t hidden = 0;
  Rows<const T> gates_x;      // [B, 4H]: x W_ih^T + b_ih; parts i, f, g, o
  Rows<const T> gates_h;      // [B, 4H]: h W_hh^T
  const T* bias_h = nullptr;  // [4H]: b_hh, or null
  Rows<const T> h;            // [B, H]; read only for rows that take no part, else may be null
  Rows<const T> c;            // [B, H]
  Rows<T> h_out;              // [B, H]; may be h itself
  Rows<T> c_out;              // [B, H]; may be c itself if nothing is saved
  Rows<T> saved;              // [B, 4H]: i, f, g, o for the backward pass, or null
  ActiveRows active;
};

template <class T>
struct LstmBackward {
  int64_t hidden = 0;
  Rows<const T> grad_h_out;  // [B, H], or null for zeros
  Rows<const T> grad_c_out;  // [B, H], or null for zeros
  Rows<const T> c;           // [B, H]
  Rows<const T> c_out;       // [B, H]
  Rows<const T> saved;       // [B, 4H]
  Rows<T> grad_gates;        // [B, 4H]: gradient of gates_x, equal to that of gates_h
  Rows<T> grad_h;            // [B, H]: zeros, except for rows that take no part; may be null
  Rows<T> grad_c;            // [B, H]
  ActiveRows active;
};

/// The kernels. Each handles rows [begin, end). Saved values and gate gradients of rows that take
/// no part are written as zeros.
template <class T>
struct RecurrentKernels {
  void (*gru_forward)(const GruForward<T>&, int64_t begin, int64_t end);
  void (*gru_backward)(const GruBackward<T>&, int64_t begin, int64_t end);
  void (*lstm_forward)(const LstmForward<T>&, int64_t begin, int64_t end);
  void (*lstm_backward)(const LstmBackward<T>&, int64_t begin, int64_t end);
};

struct RecurrentTable {
  RecurrentKernels<float> f32;
  RecurrentKernels<double> f64;
};

RAPT_KERNEL_TABLE(RecurrentTable)

}  // namespace rapt::kernels
