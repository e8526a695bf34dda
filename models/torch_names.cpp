#include "models/torch_names.hpp"

#include <algorithm>
#include <array>
#include <regex>
#include <utility>

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

using Rules = std::array<std::pair<std::regex, const char*>, 9>;

/// Rewriting rules in the order of application. Dots have already become slashes.
const Rules& rules() {
  static const Rules all{{
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

/// The rules of the other direction. Slashes become dots afterwards.
const Rules& rules_back() {
  static const Rules all{{
      {std::regex("(^|/)forward/([0-9]+)/(weight|bias)_(ih|hh)$"), "$1$3_$4_l$2"},
      {std::regex("(^|/)backward/([0-9]+)/(weight|bias)_(ih|hh)$"), "$1$3_$4_l$2_reverse"},
      {std::regex("(^|/)(encoder|decoder)/([0-9]+)/"), "$1$2/layers/$3/"},
      {std::regex("(^|/)(encoder|decoder)_norm/"), "$1$2/norm/"},
      {std::regex("(^|/)in_proj/(weight|bias)$"), "$1in_proj_$2"},
      {std::regex("(^|/)self_attention/"), "$1self_attn/"},
      {std::regex("(^|/)cross_attention/"), "$1multihead_attn/"},
      {std::regex("(^|/)feed_forward/up/"), "$1linear1/"},
      {std::regex("(^|/)feed_forward/down/"), "$1linear2/"},
  }};
  return all;
}

std::string rewritten(std::string name, const Rules& rules) {
  for (const auto& [pattern, by] : rules) name = std::regex_replace(name, pattern, by);
  return name;
}

}  // namespace

std::string name_from_torch(const std::string& name) {
  std::string result = name;
  std::replace(result.begin(), result.end(), '.', '/');
  return rewritten(std::move(result), rules());
}

std::string name_to_torch(const std::string& name) {
  std::string result = rewritten(name, rules_back());
  std::replace(result.begin(), result.end(), '/', '.');
  return result;
}

NamedTensors from_torch(const NamedTensors& state) {
  NamedTensors named;
  for (const auto& [name, tensor] : state) named.emplace_back(name_from_torch(name), tensor);
  return named;
}

NamedTensors to_torch(const NamedTensors& parameters) {
  NamedTensors state;
  for (const auto& [name, tensor] : parameters) state.emplace_back(name_to_torch(name), tensor);
  return state;
}

}  // namespace v0
}  // namespace rapt
