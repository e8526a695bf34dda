// The pointwise part of GRU and LSTM cells, forward and backward.
//
// The two matrix products of a cell are done before. Each row is then processed in one pass: gates,
// activations and the new state are computed vector by vector in registers. The forward pass stores
// the activated gates for the backward pass, so that only tanh(c') is recomputed there. Rows that
// take no part in the step copy their state and get zero gate gradients. reference.hpp says what is
// computed.
#include "ops/kernels/elementwise/recurrent.hpp"

#include "ops/kernels/simd/math.hpp"
#include "ops/kernels/simd/row_loop.hpp"

namespace rapt::kernels::RAPT_KERNEL_ISA {
namespace {

template <class T>
T* at(const Rows<T>& rows, int64_t row) {
  return rows.data == nullptr ? nullptr : rows.data + row * rows.stride;
}

bool takes_part(const ActiveRows& active, int64_t row) {
  return (active.keep == nullptr || active.keep[row * active.keep_stride] != 0) &&
         (active.lengths == nullptr || active.step < active.lengths[row]);
}

/// Copies a row. A null source stands for zeros.
template <class T>
void copy_row(const T* from, T* to, int64_t n) {
  if (to == nullptr || to == from) return;
  for (int64_t j = 0; j < n; ++j) to[j] = from == nullptr ? T(0) : from[j];
}

template <class T>
void gru_forward(const GruForward<T>& a, int64_t begin, int64_t end) {
  const int64_t H = a.hidden;
  for (int64_t row = begin; row < end; ++row) {
    const T* h = at(a.h, row);
    T* out = at(a.h_out, row);
    T* saved = at(a.saved, row);
    if (!takes_part(a.active, row)) {
      copy_row(h, out, H);
      copy_row<T>(nullptr, saved, 4 * H);
      continue;
    }
    const T* x = at(a.gates_x, row);
    const T* g = at(a.gates_h, row);
    for_each_vector<T>(H, [&](int64_t j, auto access) {
      const auto gate = [&](int64_t part) {
        const Vec<T> sum = access.get(g + part * H + j);
        return a.bias_h == nullptr ? sum : sum + access.get(a.bias_h + part * H + j);
      };
      const Vec<T> r = sigmoid(access.get(x + j) + gate(0));
      const Vec<T> z = sigmoid(access.get(x + H + j) + gate(1));
      const Vec<T> h_n = gate(2);
      const Vec<T> n = tanh(multiply_add(r, h_n, access.get(x + 2 * H + j)));
      if (saved != nullptr) {
        access.put(saved + j, r);
        access.put(saved + H + j, z);
        access.put(saved + 2 * H + j, n);
        access.put(saved + 3 * H + j, h_n);
      }
      access.put(out + j, multiply_add(z, access.get(h + j) - n, n));
    });
  }
}

template <class T>
void gru_backward(const GruBackward<T>& a, int64_t begin, int64_t end) {
  const int64_t H = a.hidden;
  const Vec<T> one(T(1));
  for (int64_t row = begin; row < end; ++row) {
    const T* grad = at(a.grad_out, row);
    T* grad_x = at(a.grad_gates_x, row);
    T* grad_g = at(a.grad_gates_h, row);
    T* grad_h = at(a.grad_h, row);
    if (!takes_part(a.active, row)) {
      copy_row(grad, grad_h, H);
      copy_row<T>(nullptr, grad_x, 3 * H);
      copy_row<T>(nullptr, grad_g, 3 * H);
      continue;
    }
    const T* h = at(a.h, row);
    const T* saved = at(a.saved, row);
    for_each_vector<T>(H, [&](int64_t j, auto access) {
      const Vec<T> r = access.get(saved + j);
      const Vec<T> z = access.get(saved + H + j);
      const Vec<T> n = access.get(saved + 2 * H + j);
      const Vec<T> h_n = access.get(saved + 3 * H + j);
      const Vec<T> d = access.get(grad + j);
      // h' = (1 - z) n + z h, n = tanh(x_n + r h_n)
      const Vec<T> d_n = d * (one - z) * (one - n * n);
      const Vec<T> d_z = d * (access.get(h + j) - n) * z * (one - z);
      const Vec<T> d_r = d_n * h_n * r * (one - r);
      access.put(grad_x + j, d_r);
      access.put(grad_x + H + j, d_z);
      access.put(grad_x + 2 * H + j, d_n);
      access.put(grad_g + j, d_r);
      access.put(grad_g + H + j, d_z);
      access.put(grad_g + 2 * H + j, d_n * r);
      access.put(grad_h + j, d * z);
    });
  }
}

template <class T>
void lstm_forward(const LstmForward<T>& a, int64_t begin, int64_t end) {
  const int64_t H = a.hidden;
  for (int64_t row = begin; row < end; ++row) {
    const T* c = at(a.c, row);
    T* h_out = at(a.h_out, row);
    T* c_out = at(a.c_out, row);
    T* saved = at(a.saved, row);
    if (!takes_part(a.active, row)) {
      copy_row<T>(at(a.h, row), h_out, H);
      copy_row(c, c_out, H);
      copy_row<T>(nullptr, saved, 4 * H);
      continue;
    }
    const T* x = at(a.gates_x, row);
    const T* g = at(a.gates_h, row);
    for_each_vector<T>(H, [&](int64_t j, auto access) {
      const auto gate = [&](int64_t part) {
        const Vec<T> sum = access.get(x + part * H + j) + access.get(g + part * H + j);
        return a.bias_h == nullptr ? sum : sum + access.get(a.bias_h + part * H + j);
      };
      const Vec<T> input = sigmoid(gate(0));
      const Vec<T> forget = sigmoid(gate(1));
      const Vec<T> update = tanh(gate(2));
      const Vec<T> output = sigmoid(gate(3));
      const Vec<T> cell = multiply_add(forget, access.get(c + j), input * update);
      if (saved != nullptr) {
        access.put(saved + j, input);
        access.put(saved + H + j, forget);
        access.put(saved + 2 * H + j, update);
        access.put(saved + 3 * H + j, output);
      }
      access.put(c_out + j, cell);
      access.put(h_out + j, output * tanh(cell));
    });
  }
}

template <class T>
void lstm_backward(const LstmBackward<T>& a, int64_t begin, int64_t end) {
  const int64_t H = a.hidden;
  const Vec<T> one(T(1));
  const Vec<T> zero(T(0));
  for (int64_t row = begin; row < end; ++row) {
    const T* grad_h_out = at(a.grad_h_out, row);
    const T* grad_c_out = at(a.grad_c_out, row);
    T* grad_gates = at(a.grad_gates, row);
    T* grad_h = at(a.grad_h, row);
    T* grad_c = at(a.grad_c, row);
    if (!takes_part(a.active, row)) {
      copy_row(grad_h_out, grad_h, H);
      copy_row(grad_c_out, grad_c, H);
      copy_row<T>(nullptr, grad_gates, 4 * H);
      continue;
    }
    copy_row<T>(nullptr, grad_h, H);
    const T* c = at(a.c, row);
    const T* c_out = at(a.c_out, row);
    const T* saved = at(a.saved, row);
    for_each_vector<T>(H, [&](int64_t j, auto access) {
      const Vec<T> input = access.get(saved + j);
      const Vec<T> forget = access.get(saved + H + j);
      const Vec<T> update = access.get(saved + 2 * H + j);
      const Vec<T> output = access.get(saved + 3 * H + j);
      const Vec<T> squashed = tanh(access.get(c_out + j));
      const Vec<T> d_h = grad_h_out == nullptr ? zero : access.get(grad_h_out + j);
      const Vec<T> d_c_out = grad_c_out == nullptr ? zero : access.get(grad_c_out + j);
      // c' = f c + i g, h' = o tanh(c')
      const Vec<T> d_c = multiply_add(d_h * output, one - squashed * squashed, d_c_out);
      access.put(grad_gates + j, d_c * update * input * (one - input));
      access.put(grad_gates + H + j, d_c * access.get(c + j) * forget * (one - forget));
      access.put(grad_gates + 2 * H + j, d_c * input * (one - update * update));
      access.put(grad_gates + 3 * H + j, d_h * squashed * output * (one - output));
      access.put(grad_c + j, d_c * forget);
    });
  }
}

template <class T>
constexpr RecurrentKernels<T> recurrent_kernels = {gru_forward<T>, gru_backward<T>, lstm_forward<T>,
                                                   lstm_backward<T>};

}  // namespace

const RecurrentTable table_RecurrentTable = {recurrent_kernels<float>, recurrent_kernels<double>};

}  // namespace rapt::kernels::RAPT_KERNEL_ISA
