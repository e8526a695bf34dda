// The exceptions of the library.
#pragma once

#include <stdexcept>
#include <string>

#include "framework/core/api.hpp"
#include "framework/core/location.hpp"

namespace rapt RAPT_API {

/// What every failure of rapt throws. The message names what went wrong, with which shapes, in
/// which layer, and at which line of the user's code.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Memory could not be had. What was computed before is as it was, and parameters are as before the
/// step.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

/// "train.cpp:84": the file without its folders.
std::string to_string(const SourceLocation& where);

}  // namespace rapt
