#include "framework/graph/tape.hpp"

#include "framework/graph/graph.hpp"

namespace rapt {

Tape::Tape() : graph_(Graph::begin()) {}
Tape::Tape(const Training& training) : Tape() { graph_->training = training; }
Tape::~Tape() { Graph::end(graph_); }

size_t Tape::size() const { return graph_->nodes.size(); }

}  // namespace rapt
