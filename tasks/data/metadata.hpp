// The metadata of a model file: names with text values.
#pragma once

#include <charconv>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "framework/core/error.hpp"

namespace rapt::tasks {

using Metadata = std::map<std::string, std::string>;

/// A value of an enumeration, with its name in files and commands.
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

/// Returns the entry of that name, or null if there is none.
template <class E, std::size_t n>
const Name<E>* find(const std::string& name, const Name<E> (&names)[n]) {
  for (const Name<E>& entry : names) {
    if (name == entry.name) return &entry;
  }
  return nullptr;
}

/// Returns the value of that name. Throws Error if no entry has it.
template <class E, std::size_t n>
E value_of(const std::string& name, const Name<E> (&names)[n]) {
  if (const Name<E>* found = find(name, names)) return found->value;
  std::string all;
  for (const Name<E>& entry : names) all += (all.empty() ? "" : ", ") + std::string(entry.name);
  throw Error("'" + name + "' is none of " + all);
}

/// Reads the metadata of a file. Its errors say what is wrong with the file.
class MetadataReader {
 public:
  MetadataReader(std::string path, Metadata entries)
      : path_(std::move(path)), entries_(std::move(entries)) {}

  /// Returns the entry's text; empty if there is no such entry.
  std::string text(const std::string& name) const {
    const auto found = entries_.find(name);
    return found == entries_.end() ? std::string() : found->second;
  }

  /// Returns a size, 0 .. 2^24. Throws Error for anything else.
  std::int64_t number(const std::string& name) const {
    const std::string value = text(name);
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (value.empty() || error != std::errc() || end != value.data() + value.size() || n < 0 ||
        n > (std::int64_t{1} << 24)) {
      throw Error(path_ + ": the entry '" + name + "' of its metadata is missing or no size");
    }
    return n;
  }

  template <class E, std::size_t n>
  E one_of(const std::string& name, const Name<E> (&names)[n]) const {
    const std::string value = text(name);
    if (const Name<E>* found = find(value, names)) return found->value;
    throw Error(path_ + ": the entry '" + name + "' of its metadata is '" + value +
                "', which this program does not know");
  }

 private:
  std::string path_;
  Metadata entries_;
};

/// Returns the name of a value. Throws Error for a value without a name.
template <class E, std::size_t n>
std::string name_of(E value, const Name<E> (&names)[n]) {
  for (const Name<E>& entry : names) {
    if (entry.value == value) return entry.name;
  }
  throw Error("a model with a setting that its file cannot name");
}

}  // namespace rapt::tasks
