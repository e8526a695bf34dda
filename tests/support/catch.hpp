// Catch2 of either major version: Debian 12 has 2, Ubuntu 24.04 has 3.
#pragma once

#if __has_include(<catch2/catch.hpp>)
#include <catch2/catch.hpp>
#else
#include <catch2/catch_all.hpp>
// The tests use the names of version 2.
#define Contains ContainsSubstring
using Catch::Approx;
#endif
