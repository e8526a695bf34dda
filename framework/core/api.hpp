// The version of rapt, and the symbols that its shared library exports.
#pragma once

#if __cplusplus < 202002L
#error rapt needs C++20: compile with -std=c++20 or later
#include <C++20>  // There is no such file. This ends the compilation, so no other error follows.
#endif

#define RAPT_VERSION_MAJOR 0  ///< part of RAPT_VERSION_MAJOR.MINOR.PATCH; CMake reads it here
#define RAPT_VERSION_MINOR 1
#define RAPT_VERSION_PATCH 0

/// Public headers open `inline namespace v0 RAPT_API` in namespace rapt. Their declarations are
/// exported; all other symbols of the library are hidden. The inline namespace is part of every
/// symbol's name, so that libraries built with different versions can meet in one program.
#define RAPT_API __attribute__((visibility("default")))
