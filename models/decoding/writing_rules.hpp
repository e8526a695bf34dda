// What beam search and sampling have in common: which tokens may come, and how many.
#pragma once

#include <string>

#include "models/decoding/step_model.hpp"

namespace rapt {

/// The rules of one batch, from the options that BeamOptions and SamplingOptions share.
class WritingRules {
 public:
  /// Throws Error, beginning with `who`, for options that contradict each other or the model.
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
  /// Tokens that are never written: the padding, the begin mark and what else was named.
  const std::vector<int32_t>& never() const { return never_; }
  const std::vector<int32_t>& prefix(int64_t sentence) const;
  /// The most tokens of a sentence, without the end mark.
  int64_t most(int64_t sentence) const { return most_[static_cast<size_t>(sentence)]; }
  /// The token that has to come after the first `written`, or -1: of the prefix, or the end mark.
  int32_t forced(int64_t sentence, int64_t written) const;
  /// Whether a token that is not forced may come after the first `written`.
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

/// All sentences' tokens as one tree: those that begin alike share their beginnings.
class TokenTree {
 public:
  /// The number of a token behind another (-1: the first).
  int32_t add(int32_t token, int32_t before) {
    nodes_.push_back({token, before});
    return static_cast<int32_t>(nodes_.size()) - 1;
  }
  int32_t token(int32_t node) const { return nodes_[static_cast<size_t>(node)].token; }
  /// The tokens up to this one.
  std::vector<int32_t> path(int32_t node) const;

 private:
  struct Node {
    int32_t token;
    int32_t before;
  };
  std::vector<Node> nodes_;
};

}  // namespace rapt
