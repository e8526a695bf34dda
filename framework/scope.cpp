#include <array>
#include <rapt/framework/error.hpp>
#include <rapt/framework/scope.hpp>
#include <rapt/framework/tape.hpp>
#include <string_view>

namespace rapt {

namespace {

thread_local Scope* current_scope = nullptr;

/// Whether a line is one of the library's own sources, which are compiled as this file is.
bool is_own(SourceLocation where) {
  constexpr std::string_view here = __FILE__;
  constexpr std::string_view root = here.substr(0, here.rfind("framework/"));
  std::string_view file = where.file_name();
  if (!file.starts_with(root)) return false;
  file.remove_prefix(root.size());
  constexpr std::array<std::string_view, 4> folders{"framework/", "ops/", "optim/", "models/"};
  for (const std::string_view folder : folders) {
    if (file.starts_with(folder)) return true;
  }
  return false;
}

/// A place, from the innermost line outwards.
class Place {
 public:
  explicit Place(SourceLocation where) : innermost_(where) { add_line(where); }

  void add_line(SourceLocation where) {
    if (is_own(where)) return;
    if (!found_) mistake_ = where;
    call_ = where;
    found_ = true;
  }
  void add_path(const std::string& path) {
    if (path_.empty()) path_ = path;
  }

  std::string text() const {
    std::string text = path_.empty() ? "" : path_ + ", ";
    if (!found_) return text + to_string(innermost_);
    const std::string mistake = to_string(mistake_), call = to_string(call_);
    return text + mistake + (call == mistake ? "" : ", called at " + call);
  }

 private:
  SourceLocation innermost_, mistake_, call_;
  bool found_ = false;
  std::string path_;
};

}  // namespace

Scope::Scope(SourceLocation where) : outer_(current_scope), where_(where) {
  if (outer_ != nullptr && outer_->of_node_) {
    // A rule's functions record on behalf of the rule's node.
    where_ = outer_->where_;
    of_node_ = true;
    index_ = outer_->index_;
    generation_ = outer_->generation_;
    graph_ = outer_->graph_;
  }
  current_scope = this;
}

Scope::Scope(const Graph& graph, const Node& node)
    : outer_(current_scope),
      where_(node.where),
      of_node_(true),
      index_(node.scope),
      generation_(graph.generation),
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

/// The name of the layer's first parameter, cut by its depth in the layer.
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

uint32_t Scope::index_in(Graph& graph) {
  if (graph_ == &graph && generation_ == graph.generation) return index_;
  const uint32_t outer = outer_ == nullptr ? 0 : outer_->index_in(graph);
  // The entries of earlier tapes are written over: the memory of their texts is warm.
  if (graph.used_scopes == graph.scopes.size()) graph.scopes.emplace_back();
  ScopeEntry& entry = graph.scopes[graph.used_scopes];
  write_own_path(entry.path);
  entry.where = where_;
  entry.outer = outer;
  graph_ = &graph;
  generation_ = graph.generation;
  index_ = static_cast<uint32_t>(++graph.used_scopes);
  return index_;
}

std::string place_of(SourceLocation where) {
  Place place(where);
  for (const Scope* scope = Scope::current(); scope != nullptr; scope = scope->outer()) {
    place.add_line(scope->where());
  }
  if (const Scope* scope = Scope::current()) place.add_path(scope->path());
  return place.text();
}

std::string place_of(const Graph& graph, const Node& node) {
  Place place(node.where);
  for (uint32_t index = node.scope; index != 0;) {
    const ScopeEntry& entry = graph.scopes[index - 1];
    place.add_line(entry.where);
    place.add_path(entry.path);
    index = entry.outer;
  }
  return place.text();
}

}  // namespace rapt
