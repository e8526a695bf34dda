// Names of the values of enumerations, in files and on command lines.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "framework/core/error.hpp"

namespace rapt::tasks {

/// A value of an enumeration, with its name.
template <class E>
struct Name {
  E value;
  const char* name;
};

template <class E, std::size_t n>
std::vector<std::string> names_of(const Name<E> (&names)[n]) {
  std::vector<std::string> all;
  for (const Name<E>& entry : names) all.emplace_back(entry.name);
  return all;
}

/// Returns the value of that name. Throws Error if no entry has it.
template <class E, std::size_t n>
E value_of(const std::string& name, const Name<E> (&names)[n]) {
  std::string all;
  for (const Name<E>& entry : names) {
    if (name == entry.name) return entry.value;
    all += (all.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw Error("'" + name + "' is none of " + all);
}

/// Returns the name of a value. Throws Error for a value without a name.
template <class E, std::size_t n>
std::string name_of(E value, const Name<E> (&names)[n]) {
  for (const Name<E>& entry : names) {
    if (entry.value == value) return entry.name;
  }
  throw Error("a model with a setting that its file cannot name");
}

}  // namespace rapt::tasks
