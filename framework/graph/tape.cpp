#include "framework/graph/tape.hpp"

#include "framework/graph/graph.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

Tape::Tape() : graph_(Graph::begin()) {}
Tape::Tape(const Training& training) : Tape() { graph_->training = training; }
Tape::~Tape() { Graph::end(graph_); }

size_t Tape::size() const { return graph_->nodes.size(); }

}  // namespace v0
}  // namespace rapt
