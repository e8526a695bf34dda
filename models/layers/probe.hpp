// Inspection of attention weights.
#pragma once

#include <string>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/tensor.hpp"
#include "framework/graph/var.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Records the weights of every attention layer that this thread records while the probe exists.
/// Weights are found under the layer's path:
///
///   AttentionProbe probe;
///   const Var logits = model(source, target_in);
///   const Tensor weights = probe.weights("decoder/0/cross_attention");  // [B, H, Tq, Tk]
///
/// The model's results do not change by a bit. Weights are computed when they are requested, those
/// of all layers on one tape together. Request them before that tape ends, and before an optimizer
/// changes the parameters. Layers get their paths from parameters(model). Without that call all
/// layers share the path "". With nested probes only the innermost one records.
class AttentionProbe {
 public:
  AttentionProbe();
  ~AttentionProbe();
  AttentionProbe(const AttentionProbe&) = delete;
  AttentionProbe& operator=(const AttentionProbe&) = delete;

  /// Returns the paths of all recorded layers, in the order of their first call.
  std::vector<std::string> layers() const;
  /// Returns the number of calls of a layer.
  size_t calls(const std::string& layer) const;
  /// Returns a layer's weights before dropout: [B, H, Tq, Tk], or without heads [B, Tq, Tk] or
  /// [B, Tk]. A step-by-step decoder makes one call per step. Throws Error if the layer or call was
  /// not recorded.
  Tensor weights(const std::string& layer, size_t call = 0);
  /// Returns the recorded weights as a Var, for use in further operators. Gradients pass through
  /// it.
  const Var& recorded(const std::string& layer, size_t call = 0) const;
  /// Returns the mean of the weights over the heads, [B, Tq, Tk].
  Tensor mean_weights(const std::string& layer, size_t call = 0);
  /// Returns the entropy of each query's weights, [B, H, Tq]: -sum w log w in natural logarithms.
  /// It is 0 for a query that attends to one key, and log Tk for uniform weights.
  Tensor entropy(const std::string& layer, size_t call = 0);

  /// Returns true if a probe is active on this thread.
  static bool active() { return current_ != nullptr; }
  /// Passes the weights of the current layer to this thread's probe, if there is one. Call it in
  /// your own attention layers.
  static void show(const Var& weights) {
    if (active()) current_->add(weights);
  }

 private:
  struct Look {
    std::string layer;
    Var weights;
    const internal::Graph* graph;
    uint32_t generation;  ///< generation of the graph, which other tapes reuse later
  };

  void add(const Var& weights);
  const Look& find(const std::string& layer, size_t call) const;
  void compute(const Look& asked) const;

  std::vector<Look> looks_;
  AttentionProbe* outer_;
  static thread_local AttentionProbe* current_;
};

}  // namespace v0
}  // namespace rapt
