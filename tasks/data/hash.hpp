// Random numbers and shuffles that are identical on every platform.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace rapt::tasks {

/// Returns a well-mixed 64-bit number for a counter (the finaliser of SplitMix64, Steele et al.
/// 2014). The standard's distributions and std::shuffle differ between libraries; this does not.
constexpr std::uint64_t hash(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

constexpr std::uint64_t hash(std::uint64_t a, std::uint64_t b) { return hash(hash(a) ^ b); }

/// Returns a hash of a text after `a`, by FNV-1a.
constexpr std::uint64_t hash(std::uint64_t a, std::string_view text) {
  std::uint64_t digest = 0xcbf29ce484222325u;
  for (const char c : text) digest = (digest ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash(hash(a, text.size()), digest);
}

/// Returns a number in [0, n) from 64 random bits. The bias is below n / 2^32.
constexpr std::uint64_t below(std::uint64_t n, std::uint64_t bits) {
  return ((bits >> 32) * n) >> 32;
}

/// Shuffles in place (Fisher-Yates). The order depends only on `key`, on every platform.
template <class T>
void shuffle(std::vector<T>& items, std::uint64_t key) {
  for (std::uint64_t n = items.size(); n > 1; --n) {
    std::swap(items[n - 1], items[below(n, hash(key, n))]);
  }
}

}  // namespace rapt::tasks
