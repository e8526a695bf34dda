#include "framework/graph/scope.hpp"

#include "framework/graph/place.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

namespace {

thread_local Scope* current_scope = nullptr;

}  // namespace

Scope::Scope(SourceLocation where) : outer_(current_scope), where_(where) {
  if (outer_ != nullptr && outer_->of_node_) {
    // Functions that a gradient rule calls record on behalf of the rule's node.
    where_ = outer_->where_;
    of_node_ = true;
    index_ = outer_->index_;
    generation_ = outer_->generation_;
    graph_ = outer_->graph_;
  }
  current_scope = this;
}

Scope::Scope(SourceLocation where, uint32_t index, const Graph& graph, uint32_t generation)
    : outer_(current_scope),
      where_(where),
      of_node_(true),
      index_(index),
      generation_(generation),
      graph_(&graph) {
  current_scope = this;
}

Scope::~Scope() { current_scope = outer_; }

Scope* Scope::current() { return current_scope; }

std::string Scope::path() const {
  std::string text;
  for (const Scope* scope = this; scope != nullptr && text.empty(); scope = scope->outer_) {
    scope->write_own_path(text);
  }
  return text;
}

/// Writes the name of the layer's first parameter, shortened by the parameter's depth in the layer.
void Scope::write_own_path(std::string& text) const {
  text.clear();
  if (parameter_ == nullptr) return;
  text = parameter_->name;
  for (int i = 0; i < depth_; ++i) {
    const size_t slash = text.rfind('/');
    text.resize(slash == std::string::npos ? 0 : slash);
    if (text.empty()) return;
  }
}

std::string place_of(SourceLocation where) {
  Place place(where);
  for (const Scope* scope = Scope::current(); scope != nullptr; scope = scope->outer()) {
    place.add_line(scope->where());
  }
  if (const Scope* scope = Scope::current()) place.add_path(scope->path());
  return place.text();
}

}  // namespace v0
}  // namespace rapt
