// Translation by beam search.
#include "bench/bench.hpp"
#include "models/decoding/beam_search.hpp"
#include "models/transformer_steps.hpp"

namespace bench {
namespace {

using namespace rapt;

/// Translates sentences of `len` words to `len` words. Random weights never predict the end, and
/// the words that they predict do not affect the time.
void beam(const Settings& s) {
  if (s["d"] % s["heads"] != 0) throw UsageError("heads does not divide d");
  const int64_t vocab = s["vocab"], batch = s["batch"], length = s["len"];
  const Transformer model({.source_vocab = vocab,
                           .target_vocab = vocab,
                           .width = s["d"],
                           .heads = s["heads"],
                           .encoder_layers = s["layers"],
                           .decoder_layers = s["layers"],
                           .feed_forward = s["ff"],
                           .max_length = length + 2},
                          Key{1});
  const Tensor source = random_ids(Key{2}, {batch, length}, 4, vocab);
  const Timing timing = repeat(
      [&] {
        const auto found = beam_search(
            model, source, {.beam = s["beam"], .max_length = length, .min_length = length});
        if (found[0].empty()) throw std::runtime_error("nothing was found");
      },
      s.seconds());
  const double words = static_cast<double>(batch * length);
  report(s, timing,
         {{"sentences_per_s", static_cast<double>(batch) / timing.median},
          {"target_words_per_s", words / timing.median}});
}

}  // namespace

std::vector<Workload> decoding_workloads() {
  return {{"beam",
           {{"vocab", 8000, 8},
            {"d", 256},
            {"heads", 8},
            {"layers", 3},
            {"ff", 512},
            {"batch", 64},
            {"beam", 5},
            {"len", 13}},
           beam}};
}

}  // namespace bench
