// A plan: which steps compute the wanted values, in what order and in which memory.
#pragma once

#include <rapt/framework/row_chains.hpp>

namespace rapt {

/// A group of elementwise nodes of one shape, to become one pointwise program.
struct FusedGroup {
  struct Member {
    const Op* op;
    std::span<const int64_t> words;
    std::vector<int> inputs;  // i >= 0: members[i]; below 0: operands[-1 - i]
    DType dtype;
  };
  std::vector<Member> members;
  std::vector<TensorView> operands;  // without data
  std::vector<TensorView> outputs;   // without data
  std::vector<int> output_members;   // which member makes outputs[i]
  bool wide = false;                 // computed in double precision
};

struct PlanOptions {
  /// Gathers chains of elementwise nodes into one step.
  bool fuse = true;
  /// By how much memory may grow so that fewer steps wait for others to be done with theirs.
  int64_t spare_bytes = 0;
};

/// Plain data, good for every recording of the same structure.
struct Plan {
  struct Step {
    const Op* op;
    std::shared_ptr<const void> program;  // of a fused group
    uint32_t node;                        // the one that leads, or the last, for messages
    uint32_t nodes;                       // how many nodes it computes
    bool makes_infinity;                  // one of them may, and means it
    uint32_t first_input, inputs;         // in views
    uint32_t first_output, outputs;       // in views
    uint32_t first_word, words;
    int64_t scratch;  // offset in the arena
    int64_t scratch_bytes;
    double flops, bytes;          // what it computes and touches
    double cost;                  // nanoseconds on one core, roughly
    double slack;                 // by how much it may be late before all that follows is
    RowExtent rows;               // where it works row by row
    RowChain chain;               // of the steps that run along with it
    std::vector<uint32_t> after;  // steps that must have run
    /// What messages and traces call it.
    std::string label() const;
    /// How it works row by row, or null.
    const Rowwise* rowwise() const { return rowwise_of(*op); }
  };
  enum class Place : uint8_t { arena, leaf, known, result };
  /// Where the data of a view comes from.
  struct Source {
    Place place;
    uint32_t index;  // a value of the graph (leaf, known), or of `results`
    int64_t offset;  // bytes
  };
  /// A wanted value that has to be allocated anew in every run.
  struct Result {
    uint32_t value;
    DType dtype;
    Shape shape;
  };
  /// A run of cheap steps, or one costly step: what one task executes.
  struct Task {
    uint32_t first_step, steps;
    std::vector<uint32_t> successors;
  };

  std::vector<Step> steps;
  std::vector<TensorView> views;
  std::vector<Source> sources;  // one a view
  std::vector<int64_t> words;
  std::vector<Result> results;
  std::vector<std::pair<uint32_t, uint32_t>> wanted;  // value, view
  std::vector<Task> tasks;
  /// The first task that updates parameters; it and those behind it wait until all others have
  /// run, so that a step that fails leaves every parameter alone. -1: there is none.
  int first_update_task = -1;
  int64_t arena_bytes = 0;
  double cost = 0;
  std::vector<uint32_t> traced;  // by step, of those that ran: which of the trace's texts, plus 1

  /// One line a step: operator, shapes, where its output lies, the line that recorded it.
  std::string to_string(const Graph& graph) const;
  /// The steps and what flows between them, as Graphviz.
  std::string to_dot(const Graph& graph) const;
};

/// Plans the computation of the targets, values of one graph. Values that are leaves or were
/// computed before are read where they are.
Plan make_plan(const Graph& graph, std::span<const uint32_t> targets, const PlanOptions& options);

/// Says of each step how late it may be.
void find_slack(Plan& plan);

/// Cuts the steps into tasks: runs of neighbours, so that their graph cannot have a cycle.
void make_tasks(Plan& plan);

}  // namespace rapt
