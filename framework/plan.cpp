#include <algorithm>
#include <rapt/framework/arena.hpp>
#include <rapt/framework/fusion.hpp>
#include <rapt/framework/pieces.hpp>
#include <rapt/framework/plan.hpp>
#include <rapt/framework/residuals.hpp>
#include <rapt/framework/unit_order.hpp>
#include <rapt/framework/waits.hpp>

namespace rapt {
namespace {

/// What a core does in a nanosecond, roughly: only the order of magnitude matters.
constexpr double flops_per_nanosecond = 60;
constexpr double bytes_per_nanosecond = 8;
constexpr double step_nanoseconds = 30;

class Planner {
 public:
  Planner(const Graph& graph, std::span<const uint32_t> targets, const PlanOptions& options)
      : graph_(graph), targets_(targets), options_(options), arena_(options.spare_bytes) {}

  Plan make() {
    find_needed();
    units_ = options_.fuse ? fuse(graph_, needed_, known_) : single_units(graph_, needed_);
    if (options_.fuse) merge_residuals(graph_, targets_, known_, units_);
    unit_of_.assign(graph_.nodes.size(), -1);
    for (size_t u = 0; u < units_.size(); ++u) {
      for (const uint32_t node : units_[u]) unit_of_[node] = static_cast<int>(u);
    }
    order_ = order_units(graph_, known_, units_, unit_of_);
    count_uses();
    place_results();
    pieces_ = options_.fuse ? find_pieces(graph_, targets_, known_, uses_, units_)
                            : std::vector<Piece>(graph_.values.size());
    find_chains();
    for (size_t i = 0; i < order_.units.size(); ++i) {
      add_step(units_[order_.units[i]]);
      plan_.steps.back().chain = chains_[i];
      if (i + 1 == order_.units.size() || chains_[i + 1].steps > 0) free_what_is_left();
    }
    add_wanted();
    plan_.arena_bytes = arena_.size();
    find_slack(plan_);
    make_tasks(plan_);
    return std::move(plan_);
  }

 private:
  // ---- what is needed ---------------------------------------------------------------------------

  void find_needed() {
    known_.assign(graph_.values.size(), false);
    for (const auto& [value, tensor] : graph_.results) known_[value] = true;
    needed_.assign(graph_.nodes.size(), false);
    for (const uint32_t target : targets_) need(target);
    for (size_t n = graph_.nodes.size(); n-- > 0;) {
      if (!needed_[n]) continue;
      for (const uint32_t input : graph_.inputs_of(graph_.nodes[n])) need(input);
    }
  }

  void need(uint32_t value) {
    if (is_computed(value)) needed_[graph_.values[graph_.values[value].base].node] = true;
  }

  /// Whether this plan has to compute the value (or what it is a view of).
  bool is_computed(uint32_t value) const { return computed(graph_, known_, value); }

  // ---- memory -----------------------------------------------------------------------------------

  /// How often each base is read by units: when the last one has run, its memory is free.
  void count_uses() {
    uses_.assign(graph_.values.size(), 0);
    for (const auto& unit : units_) {
      for (const uint32_t value : reads_of(unit)) {
        if (is_computed(value)) ++uses_[graph_.values[value].base];
      }
    }
  }

  /// The values that a unit reads from memory, each once.
  std::vector<uint32_t> reads_of(const std::vector<uint32_t>& unit) const {
    std::vector<uint32_t> reads;
    for (const uint32_t n : unit) {
      for (const uint32_t input : graph_.inputs_of(graph_.nodes[n])) {
        const bool inside = unit.size() > 1 && is_computed(input) &&
                            unit_of_[graph_.values[input].node] == unit_of_[unit.front()];
        if (inside) continue;
        // A single node keeps its operands as they are, also one that comes twice.
        if (is_pointwise(unit) && std::find(reads.begin(), reads.end(), input) != reads.end()) {
          continue;
        }
        reads.push_back(input);
      }
    }
    return reads;
  }

  bool is_pointwise(const std::vector<uint32_t>& unit) const {
    return graph_.nodes[unit.front()].op->pointwise != nullptr;
  }

  void place_results() {
    place_.assign(graph_.values.size(), Placement{});
    for (const uint32_t target : targets_) {
      if (!is_computed(target)) continue;
      const uint32_t base = graph_.values[target].base;
      if (place_[base].result >= 0) continue;
      place_[base].result = static_cast<int>(plan_.results.size());
      plan_.results.push_back({base, graph_.values[base].dtype, graph_.values[base].shape});
    }
  }

  TensorView view_of(uint32_t value) const {
    const Value& v = graph_.values[value];
    if (known_[value]) {
      const Tensor& tensor = *graph_.result(value);
      return {nullptr, v.dtype, v.shape, tensor.strides()};
    }
    const Piece& piece = pieces_[v.base];
    if (piece.whole != Piece::none) return {nullptr, v.dtype, v.shape, piece.layout.strides};
    return {nullptr, v.dtype, v.shape, graph_.strides_of(v)};
  }

  Plan::Source source_of(uint32_t value) const {
    using Place = Plan::Place;
    const Value& v = graph_.values[value];
    if (known_[value]) return {Place::known, value, 0};
    const int64_t offset = graph_.offset_of(v) * size_of(v.dtype);
    if (known_[v.base]) return {Place::known, v.base, offset};
    if (graph_.nodes[graph_.values[v.base].node].op == nullptr) {
      return {Place::leaf, v.base, offset};
    }
    if (const Piece& piece = pieces_[v.base]; piece.whole != Piece::none) {
      Plan::Source source = source_of(piece.whole);
      source.offset += piece.layout.offset * size_of(v.dtype);
      return source;
    }
    const Placement& placed = place_[v.base];
    if (placed.result >= 0) {
      return {Place::result, static_cast<uint32_t>(placed.result), offset};
    }
    return {Place::arena, 0, placed.offset + offset};
  }

  uint32_t add_view(uint32_t value) {
    plan_.views.push_back(view_of(value));
    plan_.sources.push_back(source_of(value));
    return static_cast<uint32_t>(plan_.views.size()) - 1;
  }

  int64_t bytes_of(uint32_t value) const {
    const Value& v = graph_.values[value];
    return (v.shape.size() * size_of(v.dtype) + 63) / 64 * 64;
  }

  // ---- rows -------------------------------------------------------------------------------------

  void find_chains() {
    std::vector<RowStep> steps(order_.units.size());
    std::vector<TensorView> views;
    for (size_t i = 0; i < steps.size() && options_.fuse; ++i) {
      const std::vector<uint32_t>& unit = units_[order_.units[i]];
      const Node& leader = graph_.nodes[leader_of(graph_, unit)];
      RowStep& step = steps[i];
      step.rowwise = rowwise_of(*leader.op);
      if (step.rowwise == nullptr) continue;
      step.reads = reads_of(unit);
      step.writes = writes_of(unit);
      views.clear();
      for (const uint32_t value : step.reads) views.push_back(view_of(value));
      for (const uint32_t value : step.writes) views.push_back(view_of(value));
      const std::span<const TensorView> all = views;
      step.extent =
          step.rowwise->extent({all.first(step.reads.size()), all.subspan(step.reads.size()),
                                graph_.words_of(leader), nullptr, nullptr, nullptr});
    }
    chains_ = row_chains(graph_, steps);
  }

  // ---- steps ------------------------------------------------------------------------------------

  void add_step(const std::vector<uint32_t>& unit) {
    const auto index = static_cast<uint32_t>(plan_.steps.size());
    const Node& leader = graph_.nodes[leader_of(graph_, unit)];
    Plan::Step step{};
    step.op = leader.op;
    step.node = leader_of(graph_, unit);
    step.nodes = static_cast<uint32_t>(unit.size());
    for (const uint32_t n : unit) {
      step.makes_infinity = step.makes_infinity || graph_.nodes[n].op->makes_infinity;
    }
    step.first_word = static_cast<uint32_t>(plan_.words.size());
    step.words = leader.words;
    const auto words = graph_.words_of(leader);
    plan_.words.insert(plan_.words.end(), words.begin(), words.end());

    const std::vector<uint32_t> reads = reads_of(unit);
    std::vector<uint32_t> writes = writes_of(unit);
    step.first_input = static_cast<uint32_t>(plan_.views.size());
    step.inputs = static_cast<uint32_t>(reads.size());
    for (const uint32_t value : reads) {
      add_view(value);
      depend_on_maker(step, value);
    }
    for (const uint32_t other : order_.before[static_cast<size_t>(unit_of_[unit.front()])]) {
      step.after.push_back(step_of_unit(other));
    }
    if (options_.spare_bytes > 0) waits_.follow(plan_.steps, step.after);
    place_outputs(step, unit, reads, writes);
    step.first_output = static_cast<uint32_t>(plan_.views.size());
    step.outputs = static_cast<uint32_t>(writes.size());
    for (const uint32_t value : writes) add_view(value);

    if (leader.op->pointwise != nullptr) {
      step.program = leader.op->pointwise->compile(group_of(unit, reads, writes));
    }
    const ForwardContext context = dry_context(step);
    if (const Rowwise* rowwise = step.rowwise()) step.rows = rowwise->extent(context);
    if (leader.op->scratch != nullptr) {
      step.scratch_bytes = (leader.op->scratch(context) + 63) / 64 * 64;
      step.scratch = take(step.scratch_bytes, step.after);
    }
    step.flops = leader.op->flops != nullptr ? leader.op->flops(context) : 0;
    step.bytes = leader.op->bytes != nullptr ? leader.op->bytes(context) : all_bytes(context);
    for (const uint32_t value : reads) {
      const Value& v = graph_.values[value];
      if (pieces_[v.base].whole == Piece::none) continue;
      step.bytes -= 2 * static_cast<double>(v.shape.size() * size_of(v.dtype));
    }
    step.cost =
        step_nanoseconds + step.flops / flops_per_nanosecond + step.bytes / bytes_per_nanosecond;
    plan_.cost += step.cost;

    left_reads_.emplace_back(reads, index);
    for (const uint32_t value : writes) {
      // An output that nobody reads: a saved statistic, say.
      if (uses_[value] == 0 && place_[value].result < 0) {
        left_.push_back({place_[value].offset, bytes_of(value), index});
      }
    }
    if (step.scratch_bytes > 0) left_.push_back({step.scratch, step.scratch_bytes, index});
    std::sort(step.after.begin(), step.after.end());
    step.after.erase(std::unique(step.after.begin(), step.after.end()), step.after.end());
    step_of_unit_.resize(units_.size(), 0);
    step_of_unit_[static_cast<size_t>(unit_of_[unit.front()])] = index;
    plan_.steps.push_back(std::move(step));
  }

  uint32_t step_of_unit(uint32_t unit) const { return step_of_unit_[unit]; }

  void depend_on_maker(Plan::Step& step, uint32_t value) const {
    if (!is_computed(value)) return;
    const uint32_t maker = graph_.values[graph_.values[value].base].node;
    step.after.push_back(step_of_unit(static_cast<uint32_t>(unit_of_[maker])));
  }

  /// The values that a unit writes to memory. Of a fused group: those that others read.
  std::vector<uint32_t> writes_of(const std::vector<uint32_t>& unit) const {
    std::vector<uint32_t> writes;
    for (const uint32_t n : unit) {
      const Node& node = graph_.nodes[n];
      for (uint32_t i = 0; i < node.outputs; ++i) {
        const uint32_t value = node.first_value + i;
        if (unit.size() > 1 && uses_[value] == 0 && place_[value].result < 0) continue;
        writes.push_back(value);
      }
    }
    return writes;
  }

  void place_outputs(Plan::Step& step, const std::vector<uint32_t>& unit,
                     const std::vector<uint32_t>& reads, const std::vector<uint32_t>& writes) {
    const Op& op = *graph_.nodes[leader_of(graph_, unit)].op;
    std::vector<bool> taken(reads.size(), false);
    for (size_t w = 0; w < writes.size(); ++w) {
      const uint32_t value = writes[w];
      const uint32_t whole = pieces_[value].whole;
      if (whole != Piece::none) {
        place_whole(step, whole);
        place_[value].given_away = true;  // It is freed with the whole.
        continue;
      }
      if (place_[value].result >= 0 || place_[value].early) continue;
      int donor = -1;
      const bool may = op.pointwise != nullptr || w == 0;
      for (size_t r = 0; may && r < reads.size() && donor < 0; ++r) {
        if (op.pointwise == nullptr && (r >= 32 || (op.in_place >> r & 1) == 0)) continue;
        if (!taken[r] && can_take_over(reads, r, value)) donor = static_cast<int>(r);
        if (donor >= 0 && is_worth_other_memory(reads[r])) donor = -1;
      }
      if (donor >= 0) {
        const uint32_t base = reads[static_cast<size_t>(donor)];
        taken[static_cast<size_t>(donor)] = true;
        place_[value].offset = place_[base].offset;
        place_[base].given_away = true;
        const auto& readers = place_[base].readers;
        step.after.insert(step.after.end(), readers.begin(), readers.end());
      } else {
        place_[value].offset = take(bytes_of(value), step.after);
      }
    }
  }

  /// Memory for what has a piece that this step writes.
  void place_whole(Plan::Step& step, uint32_t whole) {
    Placement& placed = place_[whole];
    if (placed.result >= 0) return;
    if (!placed.early) {
      placed.early = true;
      placed.offset = take(bytes_of(whole), placed.before);
    }
    step.after.insert(step.after.end(), placed.before.begin(), placed.before.end());
  }

  /// Whether reads[r] is a whole buffer of the arena that nobody reads after this step.
  bool can_take_over(const std::vector<uint32_t>& reads, size_t r, uint32_t output) const {
    const uint32_t value = reads[r];
    const Value& v = graph_.values[value];
    const Value& o = graph_.values[output];
    if (!is_computed(value) || v.base != value || v.layout != 0 || v.dtype != o.dtype ||
        v.shape != o.shape || place_[value].result >= 0) {
      return false;
    }
    int here = 0;
    for (const uint32_t read : reads) {
      if (is_computed(read) && graph_.values[read].base == value) ++here;
    }
    return here == 1 && uses_[value] == 1;
  }

  /// Whether a step that took over this memory would wait for readers, and need not.
  bool is_worth_other_memory(uint32_t value) const {
    if (options_.spare_bytes == 0 || arena_.spare() < bytes_of(value)) return false;
    const auto& readers = place_[value].readers;
    return !std::all_of(readers.begin(), readers.end(),
                        [&](uint32_t step) { return waits_.has_run(step); });
  }

  /// Memory for the step that waits_ follows.
  int64_t take(int64_t bytes, std::vector<uint32_t>& after) {
    return arena_.take(
        bytes, [&](uint32_t step) { return waits_.has_run(step); }, after);
  }

  /// Frees what the last step, or chain of steps, was the last to use. Within a chain nothing is
  /// free: its steps run side by side.
  void free_what_is_left() {
    for (const auto& [reads, index] : left_reads_) release(reads, index);
    for (const Left& left : left_) arena_.give(left.offset, left.bytes, {left.step});
    left_reads_.clear();
    left_.clear();
  }

  void release(const std::vector<uint32_t>& reads, uint32_t index) {
    for (const uint32_t value : reads) {
      if (!is_computed(value)) continue;
      const uint32_t base = graph_.values[value].base;
      Placement& placed = place_[base];
      placed.readers.push_back(index);
      if (--uses_[base] > 0 || placed.result >= 0 || placed.given_away) continue;
      arena_.give(placed.offset, bytes_of(base), std::move(placed.readers));
    }
  }

  FusedGroup group_of(const std::vector<uint32_t>& unit, const std::vector<uint32_t>& reads,
                      const std::vector<uint32_t>& writes) const {
    FusedGroup group;
    group.wide = is_wide(graph_, graph_.nodes[unit.front()]);
    for (const uint32_t n : unit) {
      const Node& node = graph_.nodes[n];
      FusedGroup::Member member{
          node.op, graph_.words_of(node), {}, graph_.values[node.first_value].dtype};
      for (const uint32_t input : graph_.inputs_of(node)) {
        const auto read = std::find(reads.begin(), reads.end(), input);
        if (read != reads.end()) {
          member.inputs.push_back(-1 - static_cast<int>(read - reads.begin()));
        } else {
          const auto maker = std::lower_bound(unit.begin(), unit.end(), graph_.values[input].node);
          member.inputs.push_back(static_cast<int>(maker - unit.begin()));
        }
      }
      group.members.push_back(std::move(member));
    }
    for (const uint32_t value : reads) group.operands.push_back(view_of(value));
    for (const uint32_t value : writes) {
      group.outputs.push_back(view_of(value));
      const auto maker =
          std::lower_bound(unit.begin(), unit.end(), graph_.values[value].node) - unit.begin();
      group.output_members.push_back(static_cast<int>(maker));
    }
    return group;
  }

  ForwardContext dry_context(const Plan::Step& step) const {
    return {{plan_.views.data() + step.first_input, step.inputs},
            {plan_.views.data() + step.first_output, step.outputs},
            {plan_.words.data() + step.first_word, step.words},
            nullptr,
            nullptr,
            step.program.get()};
  }

  static double all_bytes(const ForwardContext& c) {
    int64_t bytes = 0;
    for (int i = 0; i < c.inputs(); ++i) bytes += c.input(i).size() * size_of(c.input(i).dtype);
    for (int i = 0; i < c.outputs(); ++i) bytes += c.output(i).size() * size_of(c.output(i).dtype);
    return static_cast<double>(bytes);
  }

  void add_wanted() {
    for (const uint32_t target : targets_) plan_.wanted.emplace_back(target, add_view(target));
  }

  struct Left {
    int64_t offset, bytes;
    uint32_t step;
  };

  struct Placement {
    int64_t offset = 0;
    int result = -1;  // index in plan_.results
    bool given_away = false;
    bool early = false;  // Placed when its first piece was.
    std::vector<uint32_t> readers;
    std::vector<uint32_t> before;  // Steps that used the memory of what is placed early.
  };

  const Graph& graph_;
  std::span<const uint32_t> targets_;
  PlanOptions options_;
  Plan plan_;
  ArenaLayout arena_;
  Waits waits_;
  std::vector<bool> known_, needed_;
  std::vector<std::vector<uint32_t>> units_;  // nodes, ascending
  std::vector<int> unit_of_;
  UnitOrder order_;
  std::vector<uint32_t> step_of_unit_;
  std::vector<int> uses_;
  std::vector<Placement> place_;
  std::vector<Piece> pieces_;
  std::vector<RowChain> chains_;  // as order_.units
  std::vector<Left> left_;
  std::vector<std::pair<std::vector<uint32_t>, uint32_t>> left_reads_;
};

}  // namespace

Plan make_plan(const Graph& graph, std::span<const uint32_t> targets, const PlanOptions& options) {
  return Planner(graph, targets, options).make();
}

}  // namespace rapt
