// Numbers with a type: a node's number is not a value's, nor an index into another list.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "framework/core/api.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

enum class NodeId : uint32_t { none = ~0u };   ///< a node of a tape
enum class ValueId : uint32_t { none = ~0u };  ///< a value of a tape
enum class LeafId : uint32_t { none = ~0u };   ///< an entry of the tape's list of leaves

/// A type of numbers: `enum class NodeId : uint32_t { none = ~0u }`. Ids of different types do not
/// convert to each other, nor to integers.
template <class T>
concept IdType =
    std::is_enum_v<T> && std::same_as<std::underlying_type_t<T>, uint32_t> && T::none == T{~0u};

/// Returns the number itself, for arithmetic, messages and keys.
constexpr uint32_t index(IdType auto id) { return static_cast<uint32_t>(id); }

template <IdType I>
constexpr uint32_t operator-(I id, I first) {
  return index(id) - index(first);
}
constexpr auto operator+(IdType auto id, uint32_t n) { return decltype(id){index(id) + n}; }
constexpr auto operator-(IdType auto id, uint32_t n) { return decltype(id){index(id) - n}; }
constexpr auto& operator++(IdType auto& id) { return id = id + 1; }
constexpr auto& operator--(IdType auto& id) { return id = id - 1; }

/// Consecutive ids, for a loop: [first, first + count).
template <IdType I>
class IdRange {
 public:
  struct Iterator {
    I id;
    constexpr I operator*() const { return id; }
    constexpr Iterator& operator++() { return ++id, *this; }
    constexpr bool operator==(const Iterator&) const = default;
  };

  constexpr IdRange(I first, uint32_t count) : begin_{first}, end_{first + count} {}
  constexpr Iterator begin() const { return begin_; }
  constexpr Iterator end() const { return end_; }

 private:
  Iterator begin_, end_;
};

/// A list whose index is an id.
template <IdType I, class List>
class IndexedBy : public List {
 public:
  using List::List;
  constexpr decltype(auto) operator[](I id) { return List::operator[](index(id)); }
  constexpr decltype(auto) operator[](I id) const { return List::operator[](index(id)); }
  /// Returns the id of the element that is appended next.
  constexpr I next() const { return I{static_cast<uint32_t>(List::size())}; }
  constexpr I last() const { return I{static_cast<uint32_t>(List::size()) - 1}; }
  /// Returns the ids of all elements.
  constexpr IdRange<I> ids() const { return {I{}, static_cast<uint32_t>(List::size())}; }
  /// Returns `count` elements.
  constexpr auto slice(I first, uint32_t count) const {
    return std::span(List::data() + index(first), count);
  }
};

template <IdType I, class T>
using IdVector = IndexedBy<I, std::vector<T>>;
template <IdType I, class T>
using IdSpan = IndexedBy<I, std::span<T>>;

}  // namespace v0
}  // namespace rapt
