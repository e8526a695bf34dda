#include <rapt/framework/scope.hpp>
#include <rapt/framework/tape.hpp>

namespace rapt {

namespace {
thread_local Scope* current_scope = nullptr;
}

Scope::Scope(SourceLocation where)
    : parent_(current_scope), where_(current_scope == nullptr ? where : current_scope->where_) {
  current_scope = this;
}

Scope::Scope(const Graph& graph, const Node& node)
    : parent_(current_scope), where_(node.where), graph_(&graph), index_(node.scope) {
  current_scope = this;
}

Scope::~Scope() { current_scope = parent_; }

Scope* Scope::current() { return current_scope; }

std::string Scope::path() const {
  std::string text;
  write_path(text);
  return text;
}

void Scope::write_path(std::string& text) const {
  const Scope* scope = this;
  while (scope->parameter_ == nullptr && scope->parent_ != nullptr) scope = scope->parent_;
  text.clear();
  if (scope->parameter_ == nullptr) return;
  text = scope->parameter_->name;
  for (int i = 0; i < scope->depth_; ++i) {
    const size_t slash = text.rfind('/');
    text.resize(slash == std::string::npos ? 0 : slash);
    if (text.empty()) return;
  }
}

uint32_t Scope::index_in(Graph& graph) {
  if (graph_ == &graph) return index_;
  graph_ = &graph;
  index_ = 0;
  // The texts of earlier tapes are written over: their memory is warm.
  if (graph.used_scopes == graph.scopes.size()) graph.scopes.emplace_back();
  std::string& text = graph.scopes[graph.used_scopes];
  write_path(text);
  if (!text.empty()) index_ = static_cast<uint32_t>(++graph.used_scopes);
  return index_;
}

}  // namespace rapt
