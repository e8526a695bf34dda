#include "models/decoding/writing_rules.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/error.hpp"
#include "framework/core/options.hpp"

namespace rapt::internal {

void WritingRules::fail(const std::string& message) const {
  throw Error({.op = who_, .detail = message});
}

void WritingRules::limit(const StepModel& model, double factor, int64_t extra, int64_t max_length) {
  const int64_t sentences = model.sentences();
  check_not_negative(who_, "length_factor", factor);
  check_at_least(who_, "length_extra", extra, 0);
  check_at_least(who_, "max_length", max_length, 0);
  check_at_least(who_, "min_length", min_length_, 0);
  if (min_length_ > max_length) {
    fail(fmt::format("min_length {} is above max_length {}", min_length_, max_length));
  }
  if (begin_ < 0 && prefixes_.empty() && sentences > 0) {
    fail("without a begin mark there have to be prefixes");
  }
  if (!prefixes_.empty() && static_cast<int64_t>(prefixes_.size()) != sentences) {
    fail(fmt::format("{} prefixes for {} sentences", prefixes_.size(), sentences));
  }
  for (int64_t i = 0; i < sentences; ++i) {
    const std::vector<int32_t>& tokens = prefix(i);
    const auto given = static_cast<int64_t>(tokens.size());
    if (begin_ < 0 && given == 0) fail("without a begin mark every prefix needs a token");
    for (const int32_t token : tokens) {
      if (token < 0) fail(fmt::format("the prefix of sentence {} holds the token {}", i, token));
      if (token == end_) fail(fmt::format("the prefix of sentence {} holds the end mark", i));
    }
    // The last step generates the end token. Without a begin token, the first token needs no step.
    const int64_t steps = std::min(model.most_steps(), int64_t{1} << 50);
    const int64_t room = has_end() == (begin_ < 0) ? steps : has_end() ? steps - 1 : steps + 1;
    if (given > room) {
      fail(fmt::format("the prefix of sentence {} has {} tokens, the model has room for {}", i,
                       given, room));
    }
    const double asked = factor * static_cast<double>(model.source_length(i));
    constexpr int64_t far = int64_t{1} << 50;
    const auto wished = static_cast<int64_t>(std::min(asked, 0x1p50)) + std::min(extra, far);
    const int64_t most = std::min(wished, max_length);
    most_.push_back(std::min(std::max({most, min_length_, given}), room));
  }
}

const std::vector<int32_t>& WritingRules::prefix(int64_t sentence) const {
  static const std::vector<int32_t> none;
  return prefixes_.empty() ? none : prefixes_[static_cast<size_t>(sentence)];
}

int32_t WritingRules::forced(int64_t sentence, int64_t written) const {
  const std::vector<int32_t>& tokens = prefix(sentence);
  if (written < static_cast<int64_t>(tokens.size())) return tokens[static_cast<size_t>(written)];
  return has_end() && written >= most(sentence) ? end_ : -1;
}

bool WritingRules::allows(int32_t token, int64_t written) const {
  if (has_end() && token == end_) return written >= min_length_;
  return std::find(never_.begin(), never_.end(), token) == never_.end();
}

std::vector<int32_t> TokenTree::path(int32_t node) const {
  std::vector<int32_t> tokens;
  for (; node >= 0; node = nodes_[static_cast<size_t>(node)].before) tokens.push_back(token(node));
  std::reverse(tokens.begin(), tokens.end());
  return tokens;
}

}  // namespace rapt::internal
