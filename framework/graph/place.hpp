// The place of a mistake, as errors report it.
#pragma once

#include <string>

#include "framework/core/internal.hpp"
#include "framework/core/location.hpp"

namespace rapt::internal {

/// Collects lines, from the innermost outwards, and the path of a layer. Skips lines in rapt's own
/// sources.
class Place {
 public:
  explicit Place(SourceLocation where);

  void add_line(SourceLocation where);
  void add_path(const std::string& path);
  /// Returns "block/attention, model.cpp:11, called at train.cpp:29".
  std::string text() const;

 private:
  SourceLocation innermost_, mistake_, call_;
  bool found_ = false;
  std::string path_;
};

}  // namespace rapt::internal
