#include "framework/plan/row_chains.hpp"

#include <algorithm>
#include <numeric>

namespace rapt::internal {
namespace {

constexpr uint32_t most_steps = 8;

/// Maximum length of a range. Ranges end at row boundaries of all steps.
constexpr int64_t most_elements = int64_t{1} << 17;

int64_t elements_of(const RowExtent& e) { return e.count * e.width; }

bool has(uint32_t bits, size_t i) { return i < 32 && (bits >> i & 1) != 0; }

class Chains {
 public:
  Chains(const Excerpt& excerpt, const IdVector<StepId, RowStep>& steps)
      : excerpt_(excerpt), steps_(steps) {}

  IdVector<StepId, RowChain> find() {
    IdVector<StepId, RowChain> chains(steps_.size());
    for (StepId first{}; first < steps_.next();) {
      first_ = first;
      StepId end = first + 1;
      unit_ = range_ = 0;
      if (steps_[first].rowwise != nullptr && fits(steps_[first].extent)) {
        while (end < steps_.next() && end - first < most_steps && extends(end)) ++end;
      }
      if (const uint32_t steps = end - first; steps > 1) {
        chains[first] = {steps, std::max(unit_, range_ / unit_ * unit_), unit_};
      }
      for (StepId s = first + 1; s < end; ++s) chains[s].steps = 0;
      first = end;
    }
    return chains;
  }

 private:
  /// Adjusts the chain's ranges to the rows of a step. Returns false if that is impossible.
  bool fits(const RowExtent& e) {
    if (elements_of(e) == 0) return false;
    const int64_t unit = unit_ == 0 ? e.block * e.width : std::lcm(unit_, e.block * e.width);
    const int64_t range = unit_ == 0 ? e.range * e.width : std::min(range_, e.range * e.width);
    // A step that fits in one range gains nothing.
    if (unit > most_elements || elements_of(e) <= std::max(unit, range)) return false;
    unit_ = unit;
    range_ = range;
    return true;
  }

  /// True if step `s` can join the chain that begins at first_.
  bool extends(StepId s) {
    const RowStep& step = steps_[s];
    if (step.rowwise == nullptr || elements_of(step.extent) != elements_of(steps_[first_].extent)) {
      return false;
    }
    bool shares = false;
    for (size_t i = 0; i < step.reads.size(); ++i) {
      const Value& value = excerpt_.recorded(step.reads[i]);
      const PlanValue base = excerpt_.values[step.reads[i]].base;
      const bool rows = has(step.extent.inputs, i) && value.layout == 0;
      for (StepId m = first_; m < s; ++m) {
        const RowStep& member = steps_[m];
        const auto made = std::find(member.writes.begin(), member.writes.end(), base);
        if (made != member.writes.end()) {
          const auto output = static_cast<size_t>(made - member.writes.begin());
          if (!rows || !has(member.extent.outputs, output) ||
              !same_rows(value, step.extent, member.extent)) {
            return false;
          }
          shares = true;
        }
        const auto read = std::find(member.reads.begin(), member.reads.end(), step.reads[i]);
        if (rows && read != member.reads.end()) {
          shares =
              shares || has(member.extent.inputs, static_cast<size_t>(read - member.reads.begin()));
        }
      }
    }
    return shares && fits(step.extent);
  }

  /// True if both steps touch the same part of a value in the same range. This holds if the value
  /// has as many elements as their arrays, or if both have the same row width.
  bool same_rows(const Value& value, const RowExtent& a, const RowExtent& b) const {
    return value.shape.size() == elements_of(a) || a.width == b.width;
  }

  const Excerpt& excerpt_;
  const IdVector<StepId, RowStep>& steps_;
  StepId first_{};
  int64_t unit_ = 0, range_ = 0;  // in elements
};

}  // namespace

IdVector<StepId, RowChain> row_chains(const Excerpt& excerpt,
                                      const IdVector<StepId, RowStep>& steps) {
  return Chains(excerpt, steps).find();
}

}  // namespace rapt::internal
