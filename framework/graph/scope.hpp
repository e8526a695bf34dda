// Which layer is recording: what an error's layer path and line are taken from.
#pragma once

#include "framework/core/api.hpp"
#include "framework/core/location.hpp"
#include "framework/graph/parameter.hpp"

namespace rapt RAPT_API {

struct Graph;

/// Opened by a layer's call operator for as long as it records: `Scope scope(*this, x.where);`.
/// Errors then name the layer's path in its model, the line of the mistake, and the line where the
/// outermost layer was called. An operand that is handed on as it came keeps the line where it was
/// written. The path is worked out from the names of the layer's parameters.
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
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// The innermost one of this thread, or none.
  static Scope* current();
  /// The scope around this one, or none.
  const Scope* outer() const { return outer_; }
  /// Where the layer was called.
  SourceLocation where() const { return where_; }
  /// The line of a node that is recorded in it, written at `where`: of what is recorded on another
  /// node's behalf, that node's.
  SourceLocation line_of(SourceLocation where) const { return of_node_ ? where_ : where; }
  /// "decoder/attention/query"; empty where the model's parameters were never named.
  std::string path() const;

 private:
  friend struct Graph;
  /// For what is recorded on behalf of a node: its line, and its index_ and graph_.
  Scope(SourceLocation where, uint32_t index, const Graph& graph, uint32_t generation);
  void write_own_path(std::string& text) const;

  Scope* outer_;
  SourceLocation where_;
  const ParameterState* parameter_ = nullptr;
  int depth_ = 0;
  bool of_node_ = false;
  uint32_t index_ = 0;  // 1 + its place in the graph's list of scopes, once it is there
  uint32_t generation_ = 0;
  const Graph* graph_ = nullptr;
};

/// What was written at `where`, as an error tells it, by the scopes that are open:
/// "block/attention, model.cpp:11, called at train.cpp:29". Lines of rapt's own are passed over.
std::string place_of(SourceLocation where);

}  // namespace rapt
