// One description of a struct of options. Files, command lines and print all follow it.
//
// The description is a function beside the struct:
//
//   template <class Visitor>
//   void fields(Visitor& v, MyOptions& o) {
//     v.number("width", o.width, "width of the layers");
//     v.flag("norm_first", o.norm_first, "normalise the input of each layer");
//     v.choice("activation", o.activation, activations, "relu or gelu");
//   }
//
// A visitor has number() for int and std::int64_t, real(), flag(), choice(), and list() for vectors
// of std::int64_t. The help is nullptr for a field that the data decide: it is no option of a
// command line.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tasks/model_files/names.hpp"

namespace rapt::tasks {

/// The metadata of a file: names with text values.
using Metadata = std::map<std::string, std::string>;

/// Visits fields and writes them as metadata.
class FieldWriter {
 public:
  void number(const char* name, std::int64_t value, const char*) {
    entries[name] = std::to_string(value);
  }
  /// Writes the shortest text that reads back as the same number.
  void real(const char* name, double value, const char*);
  void flag(const char* name, bool value, const char*) { entries[name] = value ? "1" : "0"; }
  template <class E, std::size_t n>
  void choice(const char* name, E value, const Name<E> (&names)[n], const char*) {
    entries[name] = name_of(value, names);
  }
  /// Writes the number of values under the name `count`, and each as NAME_0, NAME_1 ...
  void list(const char* name, const char* count, const std::vector<std::int64_t>& values,
            const char*);

  Metadata entries;
};

/// Visits fields and reads them from metadata. Its errors begin with the file's name.
class FieldReader {
 public:
  FieldReader(const std::string& path, const Metadata& entries) : path_(path), entries_(entries) {}

  /// Reads a size, 0 .. 2^24.
  template <class Integer>
  void number(const char* name, Integer& value, const char*) {
    value = static_cast<Integer>(size(name));
  }
  void real(const char* name, double& value, const char*);
  void flag(const char* name, bool& value, const char*) { value = size(name) != 0; }
  template <class E, std::size_t n>
  void choice(const char* name, E& value, const Name<E> (&names)[n], const char*) {
    const std::string& given = text(name);
    for (const Name<E>& entry : names) {
      if (given == entry.name) {
        value = entry.value;
        return;
      }
    }
    fail(name, "is '" + given + "', which is not known");
  }
  void list(const char* name, const char* count, std::vector<std::int64_t>& values, const char*);

 private:
  std::int64_t size(const std::string& name) const;
  /// Returns an entry; empty if there is none.
  const std::string& text(const std::string& name) const;
  [[noreturn]] void fail(const std::string& name, const std::string& what) const;

  const std::string& path_;
  const Metadata& entries_;
};

/// Visits fields and prints one line for each: name, value, help.
class FieldPrinter {
 public:
  void number(const char* name, std::int64_t value, const char* help) {
    add(name, std::to_string(value), help);
  }
  void real(const char* name, double value, const char* help);
  void flag(const char* name, bool value, const char* help) {
    add(name, value ? "yes" : "no", help);
  }
  template <class E, std::size_t n>
  void choice(const char* name, E value, const Name<E> (&names)[n], const char* help) {
    add(name, name_of(value, names), help);
  }
  void list(const char* name, const char* count, const std::vector<std::int64_t>& values,
            const char* help);

  std::string text;

 private:
  void add(const char* name, const std::string& value, const char* help);
};

/// Returns the fields of some options as metadata.
template <class... Options>
Metadata described(Options... options) {
  FieldWriter writer;
  (fields(writer, options), ...);
  return std::move(writer.entries);
}

/// Returns the fields of some options as text, one per line.
template <class... Options>
std::string printed(Options... options) {
  FieldPrinter printer;
  (fields(printer, options), ...);
  return std::move(printer.text);
}

}  // namespace rapt::tasks
