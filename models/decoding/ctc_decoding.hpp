// What a CTC head says: the likeliest labels of each utterance, and CTC as a model that writes a
// token at a time, to be searched together with an attention decoder.
//
// All of them read log-probabilities, float32 [B, T, V], and lengths, int32 [B]; what lies behind
// an utterance's length is not looked at. They throw Error where shapes or types differ, for a
// length that is none of 0 .. T, a blank that is none of the V classes, and a NaN.
#pragma once

#include "framework/core/api.hpp"
#include "models/decoding/beam_search.hpp"

namespace rapt RAPT_API {

/// The labels of the likeliest path: the likeliest class at each time, repeats merged, blanks taken
/// out (Graves et al. 2006, section 3.2). `times`: where each label begins.
struct CtcPath {
  std::vector<int32_t> tokens;
  std::vector<int32_t> times;
};
std::vector<CtcPath> ctc_greedy(const Tensor& log_probabilities, const Tensor& lengths,
                                int32_t blank = 0);

struct CtcBeamOptions {
  int64_t beam = 10;  // how many prefixes go on at each time
  int64_t best = 1;   // how many are given, at most `beam`
  int32_t blank = 0;
};

/// Prefix beam search (Graves 2012, section 7.4.2; Hannun et al. 2014): the likeliest labels, each
/// with the probability of all its paths that stayed within the beam. Best first; `score` is the
/// log-probability. Equal ones keep an order that does not depend on threads.
std::vector<std::vector<Hypothesis>> ctc_beam_search(const Tensor& log_probabilities,
                                                     const Tensor& lengths,
                                                     const CtcBeamOptions& options = {});

struct CtcPrefixOptions {
  int32_t blank = 0;
  int32_t end = 3;  // the token that stands for the end of the utterance; no label of the CTC head
};

/// CTC's prefix scores as a StepModel (Watanabe et al. 2017, algorithm 2): the log-probability that
/// the labels go on with a token, given those before it, over all alignments. They add up to 1 over
/// all tokens and the end. Together with a decoder of the same vocabulary:
///
///   const auto joint = ensemble(members, Average::log_probabilities, {0.3, 0.7});
///   beam_search(*joint, {.normalise = false});
///
/// The blank is never written.
std::unique_ptr<StepModel> ctc_prefix_model(const Tensor& log_probabilities, const Tensor& lengths,
                                            const CtcPrefixOptions& options = {});

}  // namespace rapt
