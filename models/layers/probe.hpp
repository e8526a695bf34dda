// Looking at what attention layers look at.
#pragma once

#include <string>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/tensor.hpp"
#include "framework/graph/var.hpp"

namespace rapt RAPT_API {

/// While it lives, every attention layer that this thread records shows its weights to it, under
/// the layer's path:
///
///   AttentionProbe probe;
///   const Var logits = model(source, target_in);
///   const Tensor weights = probe.weights("decoder/0/cross_attention");  // [B, H, Tq, Tk]
///
/// What the model gives does not change by a bit. Weights are computed when they are asked for,
/// those of all layers together, on the tape that the model was recorded on: ask before it ends,
/// and before an optimizer changes the parameters. Layers have their paths from parameters(model);
/// a model that was never given to it has but one path, "". Of nested probes the innermost is
/// shown.
class AttentionProbe {
 public:
  AttentionProbe();
  ~AttentionProbe();
  AttentionProbe(const AttentionProbe&) = delete;
  AttentionProbe& operator=(const AttentionProbe&) = delete;

  /// The paths seen, in the order of their first call.
  std::vector<std::string> layers() const;
  /// How often a layer was called.
  size_t calls(const std::string& layer) const;
  /// A layer's weights, before dropout: [B, H, Tq, Tk], or without heads [B, Tq, Tk] or [B, Tk].
  /// A decoder that goes step by step makes a call a step. Throws Error for a layer or call that
  /// was not seen.
  Tensor weights(const std::string& layer, size_t call = 0);
  /// The same as it was recorded, to go on recording with: gradients pass through it.
  const Var& recorded(const std::string& layer, size_t call = 0) const;
  /// The mean over the heads, [B, Tq, Tk].
  Tensor mean_weights(const std::string& layer, size_t call = 0);
  /// How widely each query looks, [B, H, Tq]: -sum w log w in natural logarithms, 0 for a query
  /// that looks at one key, log Tk for one that looks at all alike.
  Tensor entropy(const std::string& layer, size_t call = 0);

  /// Whether a probe is at work on this thread.
  static bool active() { return current_ != nullptr; }
  /// Shows the weights of a call of the layer that is recording to this thread's probe, if there is
  /// one: for attention layers of one's own.
  static void show(const Var& weights) {
    if (active()) current_->add(weights);
  }

 private:
  struct Look {
    std::string layer;
    Var weights;
    const Graph* graph;
    uint32_t generation;  // of the graph, which other tapes use later
  };

  void add(const Var& weights);
  const Look& find(const std::string& layer, size_t call) const;
  void compute(const Look& asked) const;

  std::vector<Look> looks_;
  AttentionProbe* outer_;
  static thread_local AttentionProbe* current_;
};

}  // namespace rapt
