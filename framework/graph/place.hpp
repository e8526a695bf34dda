// Where a mistake was made, as an error tells it.
#pragma once

#include <string>

#include "framework/core/location.hpp"

namespace rapt {

/// Lines from the innermost one outwards, and the path of a layer. Lines of rapt's own sources are
/// passed over.
class Place {
 public:
  explicit Place(SourceLocation where);

  void add_line(SourceLocation where);
  void add_path(const std::string& path);
  /// "block/attention, model.cpp:11, called at train.cpp:29".
  std::string text() const;

 private:
  SourceLocation innermost_, mistake_, call_;
  bool found_ = false;
  std::string path_;
};

}  // namespace rapt
