// Which layer is recording: what an error's layer path and line are taken from.
#pragma once

#include <rapt/framework/location.hpp>
#include <rapt/framework/parameter.hpp>

namespace rapt {

struct Graph;
struct Node;

/// Opened by a layer's call operator for as long as it records: `Scope scope(*this, x.where);`.
/// Errors then name the layer's path in its model, and the line where the outermost layer was
/// called. The path is worked out from the names of the layer's parameters, only when it is needed.
class Scope {
 public:
  template <class Layer>
  Scope(const Layer& layer, SourceLocation where) : Scope(where) {
    detail::FirstParameter first;
    first.look(const_cast<Layer&>(layer),
               0);  // visit() is written once, without const; we only look
    parameter_ = first.parameter;
    depth_ = first.depth;
  }
  /// For a function made of several operators: what they record was written at `where`.
  explicit Scope(SourceLocation where);
  /// For what is recorded on a node's behalf (its gradient): the node's own path and line.
  Scope(const Graph& graph, const Node& node);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// The innermost one of this thread, or none.
  static Scope* current();
  /// Where the user called the outermost layer.
  SourceLocation where() const { return where_; }
  /// "decoder/attention/query"; empty where the model's parameters were never named.
  std::string path() const;
  /// The number of this scope's path in the graph's list, written there once; 0 for no path.
  uint32_t index_in(Graph& graph);

 private:
  void write_path(std::string& text) const;

  Scope* parent_;
  SourceLocation where_;
  const ParameterState* parameter_ = nullptr;
  int depth_ = 0;
  const Graph* graph_ = nullptr;
  uint32_t index_ = 0;
};

}  // namespace rapt
