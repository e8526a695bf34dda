// Numbers with a type: what they permit, and what does not compile.
#include "framework/graph/ids.hpp"

#include "framework/plan/plan_ids.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

template <class List, class Index>
constexpr bool has_index = requires(List list, Index i) {
  list[i];
};

template <class A, class B>
constexpr bool can_subtract = requires(A a, B b) {
  a - b;
};

using Values = IdVector<ValueId, int>;

static_assert(has_index<Values, ValueId> && has_index<IdSpan<ValueId, int>, ValueId>);
static_assert(!has_index<Values, PlanValue> && !has_index<Values, NodeId>);
static_assert(!has_index<Values, uint32_t> && !has_index<IdSpan<ValueId, int>, size_t>);
static_assert(can_subtract<ValueId, ValueId> && can_subtract<ValueId, uint32_t>);
static_assert(!can_subtract<ValueId, PlanValue> && !can_subtract<uint32_t, ValueId>);
static_assert(sizeof(Values) == sizeof(std::vector<int>) && sizeof(ValueId) == 4);

TEST_CASE("a list gives the ids of its elements, in order") {
  Values list{10, 20, 30};
  CHECK(list.next() == ValueId{3});
  CHECK(list.last() == ValueId{2});
  std::vector<int> seen;
  for (const ValueId id : list.ids()) seen.push_back(list[id] + static_cast<int>(index(id)));
  CHECK(seen == std::vector<int>{10, 21, 32});
  list[ValueId{1}] = 5;
  const auto two = list.slice(ValueId{1}, 2);
  CHECK(std::vector<int>(two.begin(), two.end()) == std::vector<int>{5, 30});
  CHECK(Values().ids().begin() == Values().ids().end());
}

TEST_CASE("ids are counted on and back, and their difference is a number") {
  ValueId id{7};
  CHECK(++id == ValueId{8});
  CHECK(--id == ValueId{7});
  CHECK(id + 5 == ValueId{12});
  CHECK(id - 5 == ValueId{2});
  CHECK(ValueId{12} - id == 5);
  CHECK(ValueId::none > ValueId{4294967294});
}

}  // namespace
}  // namespace rapt
