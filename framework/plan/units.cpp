#include "framework/plan/units.hpp"

namespace rapt::internal {

std::string_view name(UnitKind kind) {
  switch (kind) {
    case UnitKind::single:
      return "single";
    case UnitKind::elementwise:
      return "elementwise";
    default:
      return "residual";
  }
}

void Units::assign(const std::vector<uint32_t>& number_of, uint32_t numbers) {
  constexpr uint32_t none = ~0u;
  // Units are numbered in the order of their first nodes.
  std::vector<uint32_t> unit_of_number(numbers, none);
  unit_of.resize(number_of.size());
  first.assign(1, 0);
  for (size_t n = 0; n < number_of.size(); ++n) {
    uint32_t& unit = unit_of_number[number_of[n]];
    if (unit == none) {
      unit = size();
      first.push_back(0);
    }
    unit_of[n] = unit;
    ++first[unit + 1];
  }
  for (size_t u = 1; u < first.size(); ++u) first[u] += first[u - 1];
  nodes.resize(number_of.size());
  std::vector<uint32_t> next(first.begin(), first.end() - 1);
  for (uint32_t n = 0; n < unit_of.size(); ++n) nodes[next[unit_of[n]]++] = n;
}

}  // namespace rapt::internal
