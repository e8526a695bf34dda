// The layer that is being recorded. Errors take their layer path and line from it.
#pragma once

#include "framework/core/api.hpp"
#include "framework/core/location.hpp"
#include "framework/graph/parameter.hpp"

namespace rapt::internal {
struct Graph;
}

namespace rapt {
inline namespace v0 RAPT_API {

/// Marks a layer's call while it records. A layer opens one in its call operator:
/// `Scope scope(*this, x.where);`. Errors then name the layer's path in its model, the line of the
/// mistake, and the line where the outermost layer was called. An operand that a layer passes on
/// unchanged keeps the line where it was written. The path is derived from the names of the layer's
/// parameters.
class Scope {
 public:
  template <class Layer>
  Scope(const Layer& layer, SourceLocation where) : Scope(where) {
    detail::FirstParameter first;
    // visit() is not const, but FirstParameter only reads.
    first.look(const_cast<Layer&>(layer), 0);
    parameter_ = first.parameter;
    depth_ = first.depth;
  }
  /// For a function made of several operators: errors attribute its nodes to the line `where`.
  explicit Scope(SourceLocation where);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// Returns the innermost scope of this thread, or null.
  static Scope* current();
  /// Returns the enclosing scope, or null.
  const Scope* outer() const { return outer_; }
  /// Returns the line where the layer was called.
  SourceLocation where() const { return where_; }
  /// Returns the line that a node written at `where` gets. If the scope stands for another node (a
  /// gradient), that is the other node's line.
  SourceLocation line_of(SourceLocation where) const { return of_node_ ? where_ : where; }
  /// Returns "decoder/attention/query", or "" if the model's parameters were never named.
  std::string path() const;

 private:
  friend struct internal::Graph;
  /// Stands for a recorded node while its gradient is recorded. Takes over its line and its place
  /// in the graph's list of scopes.
  Scope(SourceLocation where, uint32_t index, const internal::Graph& graph, uint32_t generation);
  void write_own_path(std::string& text) const;

  Scope* outer_;
  SourceLocation where_;
  const ParameterState* parameter_ = nullptr;
  int depth_ = 0;
  bool of_node_ = false;
  uint32_t index_ = 0;  // 1 + index into the graph's list of scopes; 0: not in it yet
  uint32_t generation_ = 0;
  const internal::Graph* graph_ = nullptr;
};

/// Describes the line `where` for an error message, using the open scopes: "block/attention,
/// model.cpp:11, called at train.cpp:29". Skips lines in rapt's own sources.
std::string place_of(SourceLocation where);

}  // namespace v0
}  // namespace rapt
