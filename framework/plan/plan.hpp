// A plan: which steps compute the wanted values, in what order and in which memory.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"

namespace rapt RAPT_API {

/// Lists of numbers that stay where they are while more are added.
class NumberLists {
 public:
  std::span<const uint32_t> add(std::span<const uint32_t> numbers);

 private:
  std::vector<std::unique_ptr<uint32_t[]>> blocks_;
  size_t left_ = 0;  // numbers that the last block has room for
  uint32_t* next_ = nullptr;
};

/// How an operator works row by row, or null.
inline const Rowwise* rowwise_of(const Op& op) {
  return op.pointwise != nullptr ? &op.pointwise->program : op.rowwise;
}

/// Which steps run together, a few rows at a time.
struct RowChain {
  uint32_t steps = 1;    // of the chain that begins here; 0: within one
  int64_t elements = 0;  // of a range
  int64_t unit = 1;      // of which ranges are multiples
};

/// Plain data, good for every recording of the same structure. Nodes and values have the numbers of
/// the excerpt that the plan was made for; `nodes` and `values` say which these were on its tape.
struct Plan {
  struct Step {
    const Op* op;
    std::shared_ptr<const void> program;  // of a fused group
    uint32_t node;                        // the one that leads, or the last, for messages
    uint32_t first_node, nodes;           // those that it computes, in step_nodes
    bool makes_infinity;                  // one of them may, and means it
    uint32_t first_input, inputs;         // in views
    uint32_t first_output, outputs;       // in views
    uint32_t first_word, words;
    int64_t scratch;  // offset in the arena
    int64_t scratch_bytes;
    double flops, bytes;              // what it computes and touches
    double cost;                      // nanoseconds on one core, roughly
    double slack;                     // by how much it may be late before all that follows is
    RowExtent rows;                   // where it works row by row
    RowChain chain;                   // of the steps that run along with it
    std::span<const uint32_t> after;  // steps that must have run, ascending
    /// What messages and traces call it.
    std::string label() const;
    /// How it works row by row, or null.
    const Rowwise* rowwise() const { return rowwise_of(*op); }
  };
  enum class Place : uint8_t { arena, leaf, known, result, kept };
  /// Where the data of a view comes from.
  struct Source {
    Place place;
    uint32_t index;  // a value (leaf, known), or of `results`
    int64_t offset;  // bytes
  };
  /// A wanted value that has to be allocated anew in every run.
  struct Result {
    uint32_t value;
    DType dtype;
    Shape shape;
  };
  /// A value that a plan keeps for later ones, in memory that it leaves to the tape: with
  /// PlanOptions::keep all that it computes, else what updates make.
  struct Kept {
    uint32_t value;
    int64_t offset;
  };
  /// A run of cheap steps, or one costly step: what one task executes.
  struct Task {
    uint32_t first_step, steps;
    std::vector<uint32_t> successors;
  };

  std::vector<uint32_t> nodes, values;  // their numbers on the tape that the plan was made for
  std::vector<Step> steps;
  std::vector<uint32_t> step_nodes;
  std::vector<TensorView> views;
  std::vector<Source> sources;        // one per view
  std::vector<uint32_t> view_values;  // the value that a view shows
  std::vector<int64_t> words;
  std::vector<Result> results;
  std::vector<Kept> kept;
  std::vector<std::pair<uint32_t, uint32_t>> wanted;  // value, view
  std::vector<uint32_t> given;    // leaves and known values that it reads, each once
  std::vector<uint32_t> updated;  // leaves, as often as a step writes to them
  std::vector<Task> tasks;
  /// The first task that updates parameters; it and those behind it wait until all others have
  /// run, so that a step that fails leaves every parameter alone. -1: there is none.
  int first_update_task = -1;
  int64_t arena_bytes = 0;
  int64_t kept_bytes = 0;
  double cost = 0;
  std::vector<uint32_t> traced;  // by step, of those that ran: which of the trace's texts, plus 1
  NumberLists lists;             // what the steps' `after` point to

  /// One line a step: operator, shapes, where its output lies, the line that recorded it.
  std::string to_string(const Graph& graph) const;
  /// The steps and what flows between them, as Graphviz.
  std::string to_dot(const Graph& graph) const;
};

}  // namespace rapt
