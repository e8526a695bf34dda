// The one exception type of the library.
#pragma once

#include <rapt/framework/location.hpp>
#include <stdexcept>
#include <string>

namespace rapt {

/// What every failure of rapt throws. The message names what went wrong, with which shapes, in
/// which layer, and at which line of the user's code.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "train.cpp:84": the file without its folders.
std::string to_string(const SourceLocation& where);

}  // namespace rapt
