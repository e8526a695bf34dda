// The version of rapt, and what its shared library exports.
#pragma once

#define RAPT_VERSION_MAJOR 0  ///< Of RAPT_VERSION_MAJOR.MINOR.PATCH; CMake reads it from here.
#define RAPT_VERSION_MINOR 1
#define RAPT_VERSION_PATCH 0

/// The public headers open `namespace rapt RAPT_API`: what they declare is exported, all else of
/// the library is hidden.
#define RAPT_API __attribute__((visibility("default")))
