#include "framework/plan/planner.hpp"

#include <algorithm>
#include <atomic>
#include <unordered_map>

#include "framework/plan/arena.hpp"
#include "framework/plan/fused_group.hpp"
#include "framework/plan/fusion.hpp"
#include "framework/plan/pass_log.hpp"
#include "framework/plan/pieces.hpp"
#include "framework/plan/plan_tasks.hpp"
#include "framework/plan/residuals.hpp"
#include "framework/plan/row_chains.hpp"
#include "framework/plan/unit_operands.hpp"
#include "framework/plan/unit_order.hpp"
#include "framework/plan/waits.hpp"

namespace rapt::internal {
namespace {

/// Rough speed of one core. Only the order of magnitude matters.
constexpr double flops_per_nanosecond = 60;
constexpr double bytes_per_nanosecond = 8;
constexpr double step_nanoseconds = 30;

class Planner {
 public:
  Planner(const Excerpt& excerpt, const PlanOptions& options)
      : excerpt_(excerpt),
        options_(options),
        fuse_(options.fuse && !options.keep),
        log_(options.log, excerpt),
        arena_(options.spare_bytes) {}

  std::shared_ptr<Plan> make() {
    note_numbers();
    log_.excerpt();
    find_units();
    log_.units(units_);
    order_ = order_units(excerpt_, units_);
    log_.order(order_);
    find_reads(excerpt_, units_, reads_, uses_);
    place_.assign(excerpt_.values.size(), Placement{});
    place_results();
    find_writes(
        excerpt_, units_, uses_, [&](PlanValue value) { return place_[value].result >= 0; },
        writes_);
    if (fuse_) pieces_ = find_pieces(excerpt_, uses_, units_);
    log_.pieces(pieces_);
    find_chains();
    log_.chains(chains_);
    reserve();
    for (const StepId s : order_.units.ids()) {
      add_step(order_.units[s]);
      plan_->steps.back().chain = chains_[s];
      if (s == order_.units.last() || chains_[s + 1].steps > 0) free_what_is_left();
    }
    for (const PlanValue target : excerpt_.targets) {
      plan_->wanted.emplace_back(target, add_view(target));
    }
    plan_->arena_bytes = arena_.size();
    log_.memory(*plan_);
    plan_->serial = next_serial();
    find_slack(*plan_);
    make_tasks(*plan_);
    return std::move(plan_);
  }

 private:
  static uint64_t next_serial() {
    static std::atomic<uint64_t> plans{0};
    return ++plans;
  }

  using Unit = std::span<const PlanNode>;

  void note_numbers() {
    plan_->nodes.reserve(excerpt_.nodes.size());
    for (const Excerpt::Node& node : excerpt_.nodes) plan_->nodes.push_back(node.id);
    plan_->values.reserve(excerpt_.values.size());
    for (const PlanValue v : excerpt_.values.ids()) {
      const Excerpt::Value& value = excerpt_.values[v];
      plan_->values.push_back(value.id);
      if (value.base == v && value.kind != Excerpt::Kind::computed) plan_->given.push_back(v);
    }
  }

  void find_units() {
    if (fuse_) {
      units_.assign(fuse(excerpt_));
      merge_residuals(excerpt_, units_);
      return;
    }
    IdVector<PlanNode, PlanNode> itself(excerpt_.nodes.size());
    for (const PlanNode n : itself.ids()) itself[n] = n;
    units_.assign(itself);
  }

  // ---- memory -----------------------------------------------------------------------------------

  void place_results() {
    for (const PlanValue target : excerpt_.targets) {
      if (!excerpt_.computed(target)) continue;
      const PlanValue base = excerpt_.values[target].base;
      if (place_[base].result >= 0) continue;
      place_[base].result = static_cast<int>(plan_->results.size());
      const Value& v = excerpt_.recorded(base);
      plan_->results.push_back({base, v.dtype, v.shape});
    }
    if (!options_.keep && !excerpt_.updates) return;
    for (const Excerpt::Node& node : excerpt_.nodes) {
      // Keeps the results of updates, so that no later plan runs an update again.
      if (!options_.keep && node.op->traits.mutates == 0) continue;
      for (const PlanValue v : node.values()) {
        if (place_[v].result < 0) keep(v);
      }
    }
  }

  void keep(PlanValue value) {
    place_[value].kept = true;
    place_[value].offset = plan_->kept_bytes;
    plan_->kept.push_back({value, plan_->kept_bytes});
    plan_->kept_bytes += excerpt_.bytes_of(value);
  }

  /// True if the value has its own memory outside of the arena.
  bool is_apart(PlanValue value) const { return place_[value].result >= 0 || place_[value].kept; }

  const Piece* piece(PlanValue base) const {
    return pieces_.empty() || pieces_[base].whole == PlanValue::none ? nullptr : &pieces_[base];
  }

  TensorView view_of(PlanValue value) const {
    TensorView view = excerpt_.view_of(value);
    if (const Piece* p = piece(excerpt_.values[value].base)) view.strides = p->layout.strides;
    return view;
  }

  Plan::Source source_of(PlanValue value) const {
    using Place = Plan::Place;
    const Excerpt::Value& v = excerpt_.values[value];
    const Value& recorded = excerpt_.recorded(value);
    const bool view = v.base != value;
    const int64_t offset = view ? excerpt_.graph->offset_of(recorded) * size_of(recorded.dtype) : 0;
    if (v.kind == Excerpt::Kind::known) return {Place::known, index(v.base), offset};
    if (v.kind == Excerpt::Kind::leaf) return {Place::leaf, index(v.base), offset};
    if (const Piece* p = piece(v.base)) {
      Plan::Source source = source_of(p->whole);
      source.offset += p->layout.offset * size_of(recorded.dtype);
      return source;
    }
    const Placement& placed = place_[v.base];
    if (placed.result >= 0) {
      return {Place::result, static_cast<uint32_t>(placed.result), offset};
    }
    return {placed.kept ? Place::kept : Place::arena, 0, placed.offset + offset};
  }

  ViewId add_view(PlanValue value) {
    plan_->views.push_back(view_of(value));
    plan_->sources.push_back(source_of(value));
    plan_->view_values.push_back(value);
    return plan_->views.last();
  }

  // ---- rows -------------------------------------------------------------------------------------

  void find_chains() {
    IdVector<StepId, RowStep> steps(order_.units.size());
    std::vector<TensorView> views;
    for (const StepId s : steps.ids()) {
      if (!fuse_) break;
      const UnitId unit = order_.units[s];
      const Excerpt::Node& leader = excerpt_.nodes[units_.leader(excerpt_, unit)];
      RowStep& step = steps[s];
      // An update waits until everything else has run, so it cannot be part of a chain.
      if (leader.op->traits.mutates != 0) continue;
      step.rowwise = rowwise_of(*leader.op);
      if (step.rowwise == nullptr) continue;
      step.reads = reads_[unit];
      step.writes = writes_[unit];
      views.clear();
      for (const PlanValue value : step.reads) views.push_back(view_of(value));
      for (const PlanValue value : step.writes) views.push_back(view_of(value));
      const std::span<const TensorView> all = views;
      step.extent =
          step.rowwise->extent({all.first(step.reads.size()), all.subspan(step.reads.size()),
                                excerpt_.words_of(leader), nullptr, nullptr, nullptr});
    }
    chains_ = row_chains(excerpt_, steps);
  }

  // ---- steps ------------------------------------------------------------------------------------

  void reserve() {
    plan_->steps.reserve(units_.size());
    plan_->step_nodes.reserve(excerpt_.nodes.size());
    const size_t views = reads_.values.size() + writes_.values.size() + excerpt_.targets.size();
    plan_->views.reserve(views);
    plan_->sources.reserve(views);
    plan_->view_values.reserve(views);
    step_of_unit_.assign(units_.size(), StepId::none);
  }

  void add_step(UnitId u) {
    const StepId s = plan_->steps.next();
    const Unit unit = units_[u];
    const PlanNode leader_node = units_.leader(excerpt_, u);
    const Excerpt::Node& leader = excerpt_.nodes[leader_node];
    const std::span<const PlanValue> reads = reads_[u], writes = writes_[u];
    Plan::Step& step = plan_->steps.emplace_back();
    step.op = leader.op;
    step.node = leader_node;
    step.first_node = static_cast<uint32_t>(plan_->step_nodes.size());
    step.nodes = static_cast<uint32_t>(unit.size());
    plan_->step_nodes.insert(plan_->step_nodes.end(), unit.begin(), unit.end());
    for (const PlanNode n : unit) {
      step.makes_infinity = step.makes_infinity || excerpt_.nodes[n].op->traits.makes_infinity;
    }
    const auto words = excerpt_.words_of(leader);
    step.first_word = static_cast<uint32_t>(plan_->words.size());
    step.words = static_cast<uint32_t>(words.size());
    plan_->words.insert(plan_->words.end(), words.begin(), words.end());

    after_.clear();
    step.first_input = plan_->views.next();
    step.inputs = static_cast<uint32_t>(reads.size());
    for (const PlanValue value : reads) {
      add_view(value);
      const PlanNode maker = excerpt_.values[value].node;
      if (maker != PlanNode::none) after_.push_back(step_of_unit_[units_.unit_of[maker]]);
    }
    for (const auto& [later, earlier] : order_.before_of(u)) {
      after_.push_back(step_of_unit_[earlier]);
    }
    if (options_.spare_bytes > 0) waits_.follow(after_);
    place_outputs(leader, reads, writes);
    step.first_output = plan_->views.next();
    step.outputs = static_cast<uint32_t>(writes.size());
    for (const PlanValue value : writes) add_view(value);

    if (leader.op->cpu.pointwise != nullptr) {
      step.program = leader.op->cpu.pointwise->compile(group_of(unit, step));
    }
    const ForwardContext context = dry_context(step);
    if (const Rowwise* rowwise = step.rowwise()) step.rows = rowwise->extent(context);
    if (leader.op->cpu.scratch != nullptr) {
      step.scratch_bytes = (leader.op->cpu.scratch(context) + 63) / 64 * 64;
      step.scratch = take(step.scratch_bytes);
    }
    estimate(step, context, reads);

    left_units_.emplace_back(u, s);
    for (const PlanValue value : writes) {
      // An output without readers, such as a saved statistic.
      if (uses_[value] == 0 && !is_apart(value)) {
        left_.push_back({place_[value].offset, excerpt_.bytes_of(value), s});
      }
    }
    if (step.scratch_bytes > 0) left_.push_back({step.scratch, step.scratch_bytes, s});
    for (uint32_t i = 0; i < leader.inputs && i < 32 && leader.op->traits.mutates >> i != 0; ++i) {
      if ((leader.op->traits.mutates >> i & 1) == 0) continue;
      plan_->updated.push_back(excerpt_.values[excerpt_.inputs_of(leader)[i]].base);
    }
    std::sort(after_.begin(), after_.end());
    after_.erase(std::unique(after_.begin(), after_.end()), after_.end());
    step.after = plan_->lists.add(after_);
    if (options_.spare_bytes > 0) waits_.add(after_);
    step_of_unit_[u] = s;
  }

  void estimate(Plan::Step& step, const ForwardContext& context, std::span<const PlanValue> reads) {
    step.flops = step.op->cpu.flops != nullptr ? step.op->cpu.flops(context) : 0;
    step.bytes = step.op->cpu.bytes != nullptr ? step.op->cpu.bytes(context) : all_bytes(context);
    for (const PlanValue value : reads) {
      if (piece(excerpt_.values[value].base) == nullptr) continue;
      const Value& v = excerpt_.recorded(value);
      step.bytes -= 2 * static_cast<double>(v.shape.size() * size_of(v.dtype));
    }
    step.cost =
        step_nanoseconds + step.flops / flops_per_nanosecond + step.bytes / bytes_per_nanosecond;
    plan_->cost += step.cost;
  }

  void place_outputs(const Excerpt::Node& leader, std::span<const PlanValue> reads,
                     std::span<const PlanValue> writes) {
    const Op& op = *leader.op;
    taken_.assign(reads.size(), false);
    for (size_t w = 0; w < writes.size(); ++w) {
      const PlanValue value = writes[w];
      if (const Piece* p = piece(value)) {
        place_whole(p->whole);
        place_[value].given_away = true;  // freed together with the whole
        continue;
      }
      if (is_apart(value) || place_[value].early) continue;
      int donor = -1;
      const bool may = op.cpu.pointwise != nullptr || w == 0;
      for (size_t r = 0; may && r < reads.size() && donor < 0; ++r) {
        if (op.cpu.pointwise == nullptr && (r >= 32 || (op.traits.in_place >> r & 1) == 0))
          continue;
        if (!taken_[r] && can_take_over(reads, r, value)) donor = static_cast<int>(r);
        if (donor >= 0 && is_worth_other_memory(reads[r])) donor = -1;
      }
      if (donor >= 0) {
        const PlanValue base = reads[static_cast<size_t>(donor)];
        taken_[static_cast<size_t>(donor)] = true;
        place_[value].offset = place_[base].offset;
        place_[base].given_away = true;
        for_readers(base, [&](StepId reader) { after_.push_back(reader); });
      } else {
        place_[value].offset = take(excerpt_.bytes_of(value));
      }
    }
  }

  /// Allocates the whole of a piece that this step writes.
  void place_whole(PlanValue whole) {
    Placement& placed = place_[whole];
    if (is_apart(whole)) return;
    std::vector<StepId>& before = before_whole_[whole];
    if (!placed.early) {
      placed.early = true;
      const size_t others = after_.size();
      placed.offset = take(excerpt_.bytes_of(whole));
      before.assign(after_.begin() + static_cast<std::ptrdiff_t>(others), after_.end());
      return;
    }
    after_.insert(after_.end(), before.begin(), before.end());
  }

  /// True if reads[r] is a whole buffer of the arena that no later step reads.
  bool can_take_over(std::span<const PlanValue> reads, size_t r, PlanValue output) const {
    const PlanValue value = reads[r];
    if (!excerpt_.values[value].whole || uses_[value] != 1 || is_apart(value)) return false;
    const Value &v = excerpt_.recorded(value), &o = excerpt_.recorded(output);
    if (v.dtype != o.dtype || v.shape != o.shape) return false;
    const auto here = [&](PlanValue read) { return excerpt_.values[read].base == value; };
    return std::count_if(reads.begin(), reads.end(), here) == 1;
  }

  /// True if taking over this memory would make the step wait for its readers, and other memory is
  /// available.
  bool is_worth_other_memory(PlanValue value) const {
    if (options_.spare_bytes == 0 || arena_.spare() < excerpt_.bytes_of(value)) return false;
    bool waits = false;
    for_readers(value, [&](StepId step) { waits = waits || !waits_.has_run(step); });
    return waits;
  }

  /// Allocates memory for the step that waits_ follows.
  int64_t take(int64_t bytes) {
    return arena_.take(
        bytes, [&](StepId step) { return waits_.has_run(step); }, after_);
  }

  /// Frees memory whose last user was the last step, or chain of steps. Nothing is freed within a
  /// chain, because its steps run together.
  void free_what_is_left() {
    for (const auto& [unit, step] : left_units_) release(reads_[unit], step);
    for (const Left& left : left_) arena_.give(left.offset, left.bytes, {&left.step, 1});
    left_units_.clear();
    left_.clear();
  }

  void release(std::span<const PlanValue> reads, StepId step) {
    for (const PlanValue value : reads) {
      if (!excerpt_.computed(value)) continue;
      const PlanValue base = excerpt_.values[value].base;
      Placement& placed = place_[base];
      readers_.push_back({step, placed.reader});
      placed.reader = static_cast<uint32_t>(readers_.size()) - 1;
      if (--uses_[base] > 0 || is_apart(base) || placed.given_away) continue;
      users_.clear();
      for_readers(base, [&](StepId reader) { users_.push_back(reader); });
      arena_.give(placed.offset, excerpt_.bytes_of(base), users_);
    }
  }

  template <class F>
  void for_readers(PlanValue base, const F& f) const {
    for (uint32_t r = place_[base].reader; r != no_reader; r = readers_[r].next) {
      f(readers_[r].step);
    }
  }

  /// Returns the group in the form that the operators' family compiles.
  const FusedGroup& group_of(Unit unit, const Plan::Step& step) {
    FusedGroup& group = group_;
    group.wide = is_wide(*excerpt_.graph, excerpt_.recorded(excerpt_.nodes[unit.front()]));
    group.members.resize(unit.size());
    const auto reads = plan_->view_values.slice(step.first_input, step.inputs);
    const auto writes = plan_->view_values.slice(step.first_output, step.outputs);
    for (size_t m = 0; m < unit.size(); ++m) {
      const Excerpt::Node& node = excerpt_.nodes[unit[m]];
      FusedGroup::Member& member = group.members[m];
      member.op = node.op;
      member.words = excerpt_.words_of(node);
      member.dtype = excerpt_.recorded(node.first_value).dtype;
      member.inputs.clear();
      for (const PlanValue input : excerpt_.inputs_of(node)) {
        const auto read = std::find(reads.begin(), reads.end(), input);
        member.inputs.push_back(read != reads.end() ? -1 - static_cast<int>(read - reads.begin())
                                                    : member_of(unit, input));
      }
    }
    const auto operands = plan_->views.slice(step.first_input, step.inputs);
    const auto outputs = plan_->views.slice(step.first_output, step.outputs);
    group.operands.assign(operands.begin(), operands.end());
    group.outputs.assign(outputs.begin(), outputs.end());
    group.output_members.clear();
    for (const PlanValue value : writes) group.output_members.push_back(member_of(unit, value));
    return group;
  }

  /// Returns the index of the unit's node that computes the value.
  int member_of(Unit unit, PlanValue value) const {
    const auto maker = std::lower_bound(unit.begin(), unit.end(), excerpt_.values[value].node);
    return static_cast<int>(maker - unit.begin());
  }

  ForwardContext dry_context(const Plan::Step& step) const {
    return {plan_->views.slice(step.first_input, step.inputs),
            plan_->views.slice(step.first_output, step.outputs),
            {plan_->words.data() + step.first_word, step.words},
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

  /// Memory of the arena that only one step used.
  struct Left {
    int64_t offset, bytes;
    StepId step;
  };

  static constexpr uint32_t no_reader = ~0u;

  struct Placement {
    int64_t offset = 0;
    int result = -1;              // index into the plan's results
    uint32_t reader = no_reader;  // the latest step that has read it, in readers_
    bool kept = false;
    bool given_away = false;
    bool early = false;  // allocated when its first piece was
  };
  struct Reader {
    StepId step;
    uint32_t next;  // in readers_
  };

  const Excerpt& excerpt_;
  PlanOptions options_;
  bool fuse_;
  PassLog log_;
  std::shared_ptr<Plan> plan_ = std::make_shared<Plan>();
  ArenaLayout arena_;
  Waits waits_;
  Units units_;
  UnitOrder order_;
  ValuesOfUnits reads_, writes_;
  IdVector<PlanValue, uint32_t> uses_;  // by base: number of units that have yet to read it
  IdVector<PlanValue, Placement> place_;
  IdVector<PlanValue, Piece> pieces_;  // may be empty
  IdVector<StepId, RowChain> chains_;
  IdVector<UnitId, StepId> step_of_unit_;
  std::vector<StepId> after_;  // waits of the step that is being built
  std::vector<Reader> readers_;
  std::vector<StepId> users_;
  std::vector<bool> taken_;
  std::unordered_map<PlanValue, std::vector<StepId>> before_whole_;  // its former users
  FusedGroup group_;
  std::vector<Left> left_;
  std::vector<std::pair<UnitId, StepId>> left_units_;
};

}  // namespace

std::shared_ptr<Plan> make_plan(const Excerpt& excerpt, const PlanOptions& options) {
  return Planner(excerpt, options).make();
}

}  // namespace rapt::internal
