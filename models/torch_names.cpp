#include "models/torch_names.hpp"

#include <algorithm>
#include <array>
#include <regex>
#include <utility>

namespace rapt::inline v0 {
namespace {

/// Rewriting rules in the order of application. Dots have already become slashes.
const std::array<std::pair<std::regex, const char*>, 9>& rules() {
  static const std::array<std::pair<std::regex, const char*>, 9> all{{
      {std::regex("(^|/)(encoder|decoder)/layers/"), "$1$2/"},
      {std::regex("(^|/)(encoder|decoder)/norm/"), "$1$2_norm/"},
      {std::regex("(^|/)in_proj_(weight|bias)$"), "$1in_proj/$2"},
      {std::regex("(^|/)self_attn/"), "$1self_attention/"},
      {std::regex("(^|/)multihead_attn/"), "$1cross_attention/"},
      {std::regex("(^|/)linear1/"), "$1feed_forward/up/"},
      {std::regex("(^|/)linear2/"), "$1feed_forward/down/"},
      {std::regex("(^|/)(weight|bias)_(ih|hh)_l([0-9]+)$"), "$1forward/$4/$2_$3"},
      {std::regex("(^|/)(weight|bias)_(ih|hh)_l([0-9]+)_reverse$"), "$1backward/$4/$2_$3"},
  }};
  return all;
}

}  // namespace

std::string name_from_torch(const std::string& name) {
  std::string result = name;
  std::replace(result.begin(), result.end(), '.', '/');
  for (const auto& [pattern, by] : rules()) result = std::regex_replace(result, pattern, by);
  return result;
}

NamedTensors from_torch(const NamedTensors& state) {
  NamedTensors named;
  for (const auto& [name, tensor] : state) named.emplace_back(name_from_torch(name), tensor);
  return named;
}

}  // namespace rapt::v0
