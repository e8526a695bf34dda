// CTC decoding: the likeliest labels of each utterance, and CTC as a StepModel that can be searched
// jointly with an attention decoder.
//
// All functions read log-probabilities, float32 [B, T, V], and lengths, int32 [B]. They ignore
// frames beyond an utterance's length. They throw Error if shapes or types differ, if a length is
// outside 0 .. T, if the blank is not one of the V classes, or if a value is NaN.
#pragma once

#include "framework/core/api.hpp"
#include "models/decoding/beam_search.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// The labels of the likeliest path (Graves et al. 2006, section 3.2): the likeliest class at each
/// time, with repeats merged and blanks removed.
struct CtcPath {
  std::vector<int32_t> tokens;
  std::vector<int32_t> times;  ///< first frame of each label
};
/// Returns the likeliest path of each utterance.
std::vector<CtcPath> ctc_greedy(const Tensor& log_probabilities, const Tensor& lengths,
                                int32_t blank = 0);

struct CtcBeamOptions {
  int64_t beam = 10;  ///< prefixes kept at each time
  int64_t best = 1;   ///< hypotheses returned, at most `beam`
  int32_t blank = 0;
};

/// Prefix beam search (Graves 2012, section 7.4.2; Hannun et al. 2014). Returns the likeliest label
/// sequences, the best first. Each has the summed probability of all its paths that stayed within
/// the beam. `score` is the log-probability. The order of ties does not depend on threads.
std::vector<std::vector<Hypothesis>> ctc_beam_search(const Tensor& log_probabilities,
                                                     const Tensor& lengths,
                                                     const CtcBeamOptions& options = {});

struct CtcPrefixOptions {
  int32_t blank = 0;
  int32_t end = 3;  ///< token for the end of the utterance; not a label of the CTC head
};

/// Returns CTC's prefix scores as a StepModel (Watanabe et al. 2017, algorithm 2). The score of a
/// token is the log-probability that the labels continue with it, given the previous ones, over all
/// alignments. The probabilities of all tokens and the end sum to 1. Joint decoding with a decoder
/// of the same vocabulary:
///
///   const auto joint = ensemble(members, Average::log_probabilities, {0.3, 0.7});
///   beam_search(*joint, {.normalise = false});
///
/// The blank is never generated.
std::unique_ptr<StepModel> ctc_prefix_model(const Tensor& log_probabilities, const Tensor& lengths,
                                            const CtcPrefixOptions& options = {});

}  // namespace v0
}  // namespace rapt
