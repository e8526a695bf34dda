// Learning rates as functions of the number of updates so far. All of them throw Error for a rate
// or factor that is negative or not finite, and for a number of updates that is negative.
//
//   const auto rate = schedules::warmup_inverse_sqrt(1e-3, 4000);
//   adam.lr(rate(adam.steps()));
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <numbers>
#include <string>

#include "framework/core/error.hpp"

namespace rapt::schedules {

/// Returns the learning rate of the update that follows `step` earlier updates.
using Schedule = std::function<double(int64_t step)>;

namespace detail {

inline void check(const char* schedule, const char* what, double value) {
  if (value >= 0 && value < std::numeric_limits<double>::infinity()) return;
  throw Error({.op = schedule,
               .detail = std::string(what) + " is " + std::to_string(value) +
                         ", expected a finite number of 0 or more"});
}

inline void check_updates(const char* schedule, const char* what, int64_t value, int64_t least) {
  if (value >= least) return;
  throw Error({.op = schedule,
               .detail = std::string(what) + " is " + std::to_string(value) + ", expected " +
                         std::to_string(least) + " or more"});
}

}  // namespace detail

inline Schedule constant(double rate) {
  detail::check("schedules::constant", "rate", rate);
  return [=](int64_t) { return rate; };
}

/// Returns peak * min(t / warmup, sqrt(warmup / t)) with t = step + 1. With peak = 1 / sqrt(d_model
/// * warmup) this is the formula of Vaswani et al. 2017, section 5.3.
inline Schedule warmup_inverse_sqrt(double peak, int64_t warmup) {
  detail::check("schedules::warmup_inverse_sqrt", "peak", peak);
  detail::check_updates("schedules::warmup_inverse_sqrt", "warmup", warmup, 0);
  return [=](int64_t step) {
    const auto t = static_cast<double>(step + 1),
               w = static_cast<double>(std::max<int64_t>(warmup, 1));
    return peak * std::min(t / w, std::sqrt(w / t));
  };
}

/// Rises linearly to `peak` in `warmup` updates. Then falls along half a cosine to `floor` at step
/// `total`, and stays there: floor + (peak - floor) (1 + cos(pi (step - warmup) / (total -
/// warmup))) / 2. Loshchilov and Hutter 2017 (SGDR), equation 5, without restarts.
inline Schedule cosine(double peak, int64_t warmup, int64_t total, double floor = 0) {
  detail::check("schedules::cosine", "peak", peak);
  detail::check("schedules::cosine", "floor", floor);
  detail::check_updates("schedules::cosine", "warmup", warmup, 0);
  detail::check_updates("schedules::cosine", "total", total, 0);
  return [=](int64_t step) {
    if (step < warmup) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup);
    if (step >= total) return floor;
    const double part = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
    return floor + (peak - floor) * (1 + std::cos(std::numbers::pi * part)) / 2;
  };
}

/// Returns base * factor^floor(step / every): the rate is multiplied by `factor` after every
/// `every` updates.
inline Schedule step_decay(double base, int64_t every, double factor) {
  detail::check("schedules::step_decay", "base", base);
  detail::check("schedules::step_decay", "factor", factor);
  detail::check_updates("schedules::step_decay", "every", every, 1);
  return [=](int64_t step) { return base * std::pow(factor, static_cast<double>(step / every)); };
}

}  // namespace rapt::schedules
