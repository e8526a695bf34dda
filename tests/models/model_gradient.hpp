// The gradient of a whole model against finite differences.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <rapt/rapt.hpp>
#include <vector>

#include "tests/support/catch.hpp"

namespace rapt {

/// Turns the parameters to double and checks every `stride`-th of their elements, by differences of
/// 1e-5 either way: their own error is about 1e-10. Dropout is at work where there is a key for it.
inline void check_model_gradient(const std::vector<Parameter>& all,
                                 const std::function<Var()>& loss_of, size_t stride,
                                 std::optional<Key> dropout = {}) {
  const auto tape = [&] {
    return dropout ? std::make_unique<Tape>(Training{*dropout}) : std::make_unique<Tape>();
  };
  for (const Parameter& p : all) p.state()->value = p.value().to(DType::float64);
  std::vector<Tensor> gradients;
  {
    const auto recording = tape();
    for (const Var& g : grad(loss_of(), std::span(all))) gradients.push_back(g.value().clone());
  }
  for (size_t p = 0; p < all.size(); ++p) {
    const std::span<double> values = all[p].value().data<double>();
    for (size_t i = 0; i < values.size(); i += stride) {
      const double kept = values[i], h = 1e-5;
      const auto at = [&](double v) {
        values[i] = v;
        const auto recording = tape();
        return loss_of().item();
      };
      const double expected = (at(kept + h) - at(kept - h)) / (2 * h);
      values[i] = kept;
      INFO(all[p].name() << " " << i);
      CHECK(gradients[p].data<double>()[i] == Approx(expected).epsilon(1e-5).margin(1e-9));
    }
  }
}

}  // namespace rapt
