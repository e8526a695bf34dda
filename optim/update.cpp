#include "optim/update.hpp"

#include <algorithm>
#include <cmath>

namespace rapt::internal {
namespace {

using namespace kernels;

/// Elements per task.
constexpr int64_t chunk = 16384;

/// Checks that the first inputs, which are arrays, agree in shape and type.
void same_arrays(ShapeContext& c, int arrays) {
  for (int i = 1; i < arrays; ++i) {
    if (c.input(i) != c.input(0) || c.dtype(i) != c.dtype(0)) {
      c.fail("the arrays differ in shape or type: " + to_string(c.input(0)) + ", " +
             to_string(c.input(i)));
    }
  }
  c.output({0}, DType::float64);
}

/// Calls body(functions, null pointer of the element type, begin, end) for each part of input 0.
template <class Body>
void for_each_part(const ForwardContext& c, const Body& body) {
  const int64_t n = c.input(0).size();
  by_float_type(c.input(0).dtype, [&]<class T>() {
    const auto& functions = kernels::kernels_for<OptimizerKernels, T>();
    c.parallel((n + chunk - 1) / chunk, [&](int64_t i) {
      const int64_t begin = i * chunk, end = std::min(n, begin + chunk);
      body(functions, static_cast<T*>(nullptr), begin, end);
    });
  });
}

/// Returns the gradient's factor, or null if the operator has none.
const double* factor(const ForwardContext& c, int i) {
  return i < c.inputs() ? c.input(i).as<const double>() : nullptr;
}

/// True if the factor is finite or there is no input i. It is NaN if the loss or a gradient is not
/// finite.
bool is_sound(const ForwardContext& c, int i) {
  const double* scale = factor(c, i);
  return scale == nullptr || std::isfinite(*scale);
}

void sgd(const ForwardContext& c, bool momentum) {
  const int gradient = momentum ? 2 : 1;
  if (!is_sound(c, gradient + 2)) return;
  for_each_part(c, [&](const auto& functions, auto* type, int64_t begin, int64_t end) {
    using T = std::remove_pointer_t<decltype(type)>;
    const SgdUpdate<T> update{.parameter = c.input(0).as<T>(),
                              .velocity = momentum ? c.input(1).as<T>() : nullptr,
                              .gradient = c.input(gradient).as<const T>(),
                              .numbers = c.input(gradient + 1).as<const SgdNumbers>(),
                              .scale = factor(c, gradient + 2)};
    functions.sgd(update, begin, end);
  });
}

}  // namespace

constinit const Op sgd_op{.name = "sgd",
                          .shape = [](ShapeContext& c) { same_arrays(c, 2); },
                          .traits = {.mutates = 0b1},
                          .cpu = {.forward = [](const ForwardContext& c) { sgd(c, false); }}};

constinit const Op sgd_momentum_op{
    .name = "sgd_momentum",
    .shape = [](ShapeContext& c) { same_arrays(c, 3); },
    .traits = {.mutates = 0b11},
    .cpu = {.forward = [](const ForwardContext& c) { sgd(c, true); }}};

constinit const Op adam_op{
    .name = "adam",
    .shape = [](ShapeContext& c) { same_arrays(c, 4); },
    .traits = {.mutates = 0b111},
    .cpu = {.forward = [](const ForwardContext& c) {
      if (!is_sound(c, 5)) return;
      for_each_part(c, [&](const auto& functions, auto* type, int64_t begin, int64_t end) {
        using T = std::remove_pointer_t<decltype(type)>;
        const AdamUpdate<T> update{.parameter = c.input(0).as<T>(),
                                   .mean = c.input(1).as<T>(),
                                   .variance = c.input(2).as<T>(),
                                   .gradient = c.input(3).as<const T>(),
                                   .numbers = c.input(4).as<const AdamNumbers>(),
                                   .scale = factor(c, 5)};
        functions.adam(update, begin, end);
      });
    }}};

constinit const Op keep_gradient_op{
    .name = "keep_gradient",
    .shape = [](ShapeContext& c) { same_arrays(c, 2); },
    .traits = {.mutates = 0b1},
    .cpu = {.forward = [](const ForwardContext& c) {
      for_each_part(c, [&](const auto&, auto* type, int64_t begin, int64_t end) {
        using T = std::remove_pointer_t<decltype(type)>;
        const T* from = c.input(1).as<const T>();
        std::copy(from + begin, from + end, c.input(0).as<T>() + begin);
      });
    }}};

constinit const Op add_gradient_op{
    .name = "add_gradient",
    .shape = [](ShapeContext& c) { same_arrays(c, 2); },
    .traits = {.mutates = 0b1},
    .cpu = {.forward = [](const ForwardContext& c) {
      for_each_part(c, [&](const auto& functions, auto* type, int64_t begin, int64_t end) {
        using T = std::remove_pointer_t<decltype(type)>;
        functions.accumulate(c.input(0).as<T>(), c.input(1).as<const T>(), begin, end);
      });
    }}};

constinit const Op moving_average_op{
    .name = "moving_average",
    .shape = [](ShapeContext& c) { same_arrays(c, 2); },
    .traits = {.mutates = 0b1},
    .cpu = {.forward = [](const ForwardContext& c) {
      const double decay = *c.input(2).as<const double>();
      for_each_part(c, [&](const auto& functions, auto* type, int64_t begin, int64_t end) {
        using T = std::remove_pointer_t<decltype(type)>;
        functions.average(c.input(0).as<T>(), c.input(1).as<const T>(), decay, begin, end);
      });
    }}};

constinit const Op updates_op{.name = "updates",
                              .shape = [](ShapeContext& c) { c.output({0}, DType::float64); },
                              .cpu = {.forward = [](const ForwardContext&) {}}};

}  // namespace rapt::internal
