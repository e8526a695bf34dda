#include "framework/run/guard.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "framework/core/recycled.hpp"

namespace rapt::internal {
namespace {

/// The kinds of non-finite numbers that an array holds.
struct NonFinite {
  bool nan = false, plus = false, minus = false;
};

template <class Bits>
NonFinite nonfinite_in(const void* data, int64_t n, Bits infinity) {
  // NaN and the infinities have all exponent bits set. NaN also has fraction bits set.
  constexpr Bits magnitude = std::numeric_limits<Bits>::max() >> 1;
  const auto* bits = static_cast<const Bits*>(data);
  Bits any = 0;
  for (int64_t i = 0; i < n; ++i) any |= (bits[i] & magnitude) >= infinity ? Bits{1} : Bits{0};
  NonFinite found;
  for (int64_t i = 0; any != 0 && i < n; ++i) {
    found.nan = found.nan || (bits[i] & magnitude) > infinity;
    found.plus = found.plus || bits[i] == infinity;
    found.minus = found.minus || bits[i] == (infinity | ~magnitude);
  }
  return found;
}

NonFinite nonfinite_in(const TensorView& view) {
  if (!is_float(view.dtype)) return {};
  Tensor array(nullptr, view.data, view.dtype, view.shape, view.strides);
  if (!array.is_contiguous()) array = array.clone();
  return by_float_type(view.dtype, [&]<class T>() {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    return nonfinite_in(array.bytes(), view.size(),
                        std::bit_cast<Bits>(std::numeric_limits<T>::infinity()));
  });
}

}  // namespace

Guard::Place::Place(const TensorView& view) {
  int64_t first = 0, last = view.size() == 0 ? -1 : 0;
  for (int i = 0; i < view.shape.rank(); ++i) {
    const int64_t step = (view.shape[i] - 1) * view.strides[static_cast<size_t>(i)];
    (step < 0 ? first : last) += step;
  }
  const int64_t size = size_of(view.dtype);
  begin = view.as<const std::byte>() + first * size;
  end = view.as<const std::byte>() + (last + 1) * size;
}

int Guard::first_bad(const Plan::Step& step, const ForwardContext& context) {
  // Operators in fused steps make only -inf.
  const bool makes_plus = step.makes_infinity && step.nodes == 1;
  // Allocates only if there is such an output, because an update that has run must not fail here.
  Recycled<int> minus;
  for (int i = 0; i < context.outputs(); ++i) {
    const NonFinite found = nonfinite_in(context.output(i));
    if (found.nan || (found.plus && !makes_plus)) return i;
    if (!found.minus) continue;
    if (!step.makes_infinity && !reads_minus_infinity(context)) return i;
    minus.push_back(i);
  }
  for (int i = 0; i < context.outputs(); ++i) {
    note(Place(context.output(i)), std::find(minus.begin(), minus.end(), i) != minus.end());
  }
  return -1;
}

bool Guard::reads_minus_infinity(const ForwardContext& context) const {
  for (int i = 0; i < context.inputs(); ++i) {
    const Place place(context.input(i));
    bool overwritten = false;
    for (int k = 0; k < context.outputs(); ++k) {
      overwritten = overwritten || place.meets(Place(context.output(k)));
    }
    if (overwritten ? noted(place) : nonfinite_in(context.input(i)).minus) return true;
  }
  return false;
}

void Guard::note(const Place& place, bool minus_infinity) {
  const std::lock_guard lock(mutex_);
  std::erase_if(places_, [&](const Place& other) { return other.meets(place); });
  if (minus_infinity) places_.push_back(place);
}

bool Guard::noted(const Place& place) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(places_.begin(), places_.end(),
                     [&](const Place& other) { return other.meets(place); });
}

}  // namespace rapt::internal
