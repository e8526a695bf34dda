// Rules shared by beam search and sampling: allowed tokens and length limits.
#pragma once

#include <string>

#include "framework/core/internal.hpp"
#include "models/decoding/step_model.hpp"

namespace rapt::internal {

/// The rules for one batch, from the options that BeamOptions and SamplingOptions share.
class WritingRules {
 public:
  /// Throws Error, with a message that begins with `who`, if options contradict each other or the
  /// model.
  template <class Options>
  WritingRules(const char* who, const Options& o, const StepModel& model)
      : who_(who),
        begin_(o.begin),
        end_(o.end),
        min_length_(o.min_length),
        never_(o.never),
        prefixes_(o.prefixes) {
    never_.push_back(o.pad);
    if (begin_ >= 0) never_.push_back(begin_);
    limit(model, o.length_factor, o.length_extra, o.max_length);
  }

  bool has_end() const { return end_ >= 0; }
  int32_t begin() const { return begin_; }
  int32_t end() const { return end_; }
  /// Returns the tokens that are never generated: padding, the begin token and those in `never`.
  const std::vector<int32_t>& never() const { return never_; }
  const std::vector<int32_t>& prefix(int64_t sentence) const;
  /// Returns the maximum number of tokens of a sentence, without the end token.
  int64_t most(int64_t sentence) const { return most_[static_cast<size_t>(sentence)]; }
  /// Returns the forced token after the first `written` tokens: one of the prefix, or the end
  /// token. Returns -1 if none is forced.
  int32_t forced(int64_t sentence, int64_t written) const;
  /// Returns true if a token that is not forced is allowed after the first `written` tokens.
  bool allows(int32_t token, int64_t written) const;
  [[noreturn]] void fail(const std::string& message) const;

 private:
  void limit(const StepModel& model, double factor, int64_t extra, int64_t max_length);

  const char* who_;
  int32_t begin_, end_;
  int64_t min_length_;
  std::vector<int32_t> never_;
  std::vector<std::vector<int32_t>> prefixes_;
  std::vector<int64_t> most_;
};

/// The token sequences of all sentences as one tree: sequences share their common prefixes.
class TokenTree {
 public:
  /// Appends a token to the node `before` (-1: at the root) and returns the new node.
  int32_t add(int32_t token, int32_t before) {
    nodes_.push_back({token, before});
    return static_cast<int32_t>(nodes_.size()) - 1;
  }
  int32_t token(int32_t node) const { return nodes_[static_cast<size_t>(node)].token; }
  /// Returns the tokens from the root up to this node.
  std::vector<int32_t> path(int32_t node) const;

 private:
  struct Node {
    int32_t token;
    int32_t before;
  };
  std::vector<Node> nodes_;
};

}  // namespace rapt::internal
