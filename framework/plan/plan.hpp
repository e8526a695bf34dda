// A plan: the steps that compute the wanted values, with their order and their memory.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/graph/op.hpp"
#include "framework/plan/plan_ids.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Storage for lists of steps. The lists do not move when more are added.
class StepLists {
 public:
  std::span<const StepId> add(std::span<const StepId> steps);

 private:
  std::vector<std::unique_ptr<StepId[]>> blocks_;
  size_t left_ = 0;  ///< free places in the last block
  StepId* next_ = nullptr;
};

/// Returns the row-by-row functions of an operator, or null.
inline const Rowwise* rowwise_of(const Op& op) {
  return op.cpu.pointwise != nullptr ? &op.cpu.pointwise->program : op.cpu.rowwise;
}

/// A group of consecutive steps that run together, a few rows at a time.
struct RowChain {
  uint32_t steps = 1;    ///< number of steps if a chain begins here; 0: inside a chain
  int64_t elements = 0;  ///< elements per range
  int64_t unit = 1;      ///< ranges are multiples of this number of elements
};

/// A plan is plain data that never changes once it is made. It serves every recording of the same
/// structure, in any number of executors at once. What depends on a run, such as the addresses of
/// the data, is bound beside it. Its nodes and values have the numbers of the excerpt that it was
/// made for. `nodes` and `values` map these to the tape.
struct Plan {
  struct Step {
    const Op* op;
    std::shared_ptr<const void> program;  ///< compiled program of a fused group
    PlanNode node;                        ///< the leading node, or the last one; for messages
    uint32_t first_node, nodes;           ///< the computed nodes, in step_nodes
    bool makes_infinity;                  ///< true if one of the nodes may produce infinities
    ViewId first_input;                   ///< its inputs are consecutive views
    uint32_t inputs;                      ///< number of inputs
    ViewId first_output;                  ///< its outputs are consecutive views
    uint32_t outputs;                     ///< number of outputs
    uint32_t first_word, words;           ///< the attributes, in `words`
    int64_t scratch;                      ///< offset in the arena
    int64_t scratch_bytes;
    double flops, bytes;            ///< operations, and bytes read and written
    double cost;                    ///< estimated nanoseconds on one core
    double slack;                   ///< nanoseconds that it may be late; 0: on the critical path
    RowExtent rows;                 ///< valid if it works row by row
    RowChain chain;                 ///< the steps that run together with it
    std::span<const StepId> after;  ///< steps that must have run before, ascending
    /// Returns the views that it reads.
    IdRange<ViewId> input_views() const { return {first_input, inputs}; }
    /// Returns the views that it writes.
    IdRange<ViewId> output_views() const { return {first_output, outputs}; }
    /// Returns the name of the step in messages and traces.
    std::string label() const;
    /// Returns its row-by-row functions, or null.
    const Rowwise* rowwise() const { return rowwise_of(*op); }
  };
  /// The memory that holds a value. arena: the executor's arena. leaf: a leaf's own memory. known:
  /// the result of an earlier run. result: memory that this run returns. kept: memory that later
  /// plans of the tape read.
  enum class Place : uint8_t { arena, leaf, known, result, kept };
  /// The memory in which the data of a view lie.
  struct Source {
    Place place;
    uint32_t index;  ///< of a value (leaf, known), or into `results`
    int64_t offset;  ///< in bytes
    /// Returns the leaf or known value.
    PlanValue value() const { return PlanValue{index}; }
  };
  /// A wanted value that is allocated anew in every run.
  struct Result {
    PlanValue value;
    DType dtype;
    Shape shape;
  };
  /// A value that a plan keeps for later plans, in memory that it leaves to the tape. With
  /// PlanOptions::keep these are all computed values, otherwise the results of updates.
  struct Kept {
    PlanValue value;
    int64_t offset;
  };
  /// The unit of scheduling: several cheap consecutive steps, or one costly step.
  struct Task {
    StepId first_step;
    uint32_t steps;
    std::vector<TaskId> successors;
  };

  IdVector<PlanNode, NodeId> nodes;     ///< their numbers on the tape that it was made for
  IdVector<PlanValue, ValueId> values;  ///< the same for values
  IdVector<StepId, Step> steps;
  std::vector<PlanNode> step_nodes;
  IdVector<ViewId, TensorView> views;       ///< the arrays of all steps, without addresses
  IdVector<ViewId, Source> sources;         ///< one per view
  IdVector<ViewId, PlanValue> view_values;  ///< the value that each view shows
  std::vector<int64_t> words;
  std::vector<Result> results;
  std::vector<Kept> kept;
  std::vector<std::pair<PlanValue, ViewId>> wanted;
  std::vector<PlanValue> given;    ///< leaves and known values that it reads, each once
  std::vector<PlanValue> updated;  ///< leaves, once per step that writes to them
  IdVector<TaskId, Task> tasks;
  /// The first task that updates parameters, or none. This task and those after it wait until all
  /// others have run. A step that fails thus leaves every parameter unchanged.
  TaskId first_update_task = TaskId::none;
  int64_t arena_bytes = 0;
  int64_t kept_bytes = 0;  ///< size of the memory of all kept values
  double cost = 0;         ///< sum of the steps' costs
  uint64_t serial = 0;     ///< no two plans of a program have the same
  StepLists lists;         ///< storage of the steps' `after`

  /// Returns one line per step: operator, shapes, place of its output, line that recorded it.
  std::string to_string(const internal::Graph& graph) const;
  /// Returns the steps and their data flow in the language of Graphviz.
  std::string to_dot(const internal::Graph& graph) const;
};

}  // namespace v0
}  // namespace rapt
