#include "framework/check/plan_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "framework/check/plan_check_steps.hpp"

namespace rapt::internal {
namespace {

/// The memories in which plans place values: the arena, the kept memory, and each result.
using Space = std::pair<Plan::Place, uint32_t>;

/// The bytes [begin, end) of a space.
struct Range {
  Space space;
  int64_t begin, end;

  bool meets(const Range& other) const {
    return space == other.space && begin < other.end && other.begin < end;
  }
  bool holds(const Range& other) const {
    return space == other.space && begin <= other.begin && other.end <= end;
  }
};

class Checker : public StepChecker {
 public:
  using StepChecker::StepChecker;

  void check() {
    check_steps();
    find_homes();
    for (const StepId s : plan_.steps.ids()) follow(s);
    check_wanted();
    check_updates();
    check_tasks();
  }

 private:
  // ---- where values lie -------------------------------------------------------------------------

  static bool is_memory(const Plan::Source& source) {
    return source.place != Plan::Place::leaf && source.place != Plan::Place::known;
  }

  Range range_of(ViewId view) const {
    const Plan::Source& source = plan_.sources[view];
    const TensorView& v = plan_.views[view];
    const int64_t size = size_of(v.dtype);
    int64_t first = 0, last = 0;
    for (int axis = 0; axis < v.shape.rank(); ++axis) {
      const int64_t reach = v.strides[static_cast<size_t>(axis)] * (v.shape[axis] - 1) * size;
      (reach < 0 ? first : last) += reach;
    }
    const Space space{source.place, source.place == Plan::Place::result ? source.index : 0};
    if (v.shape.size() == 0) return {space, source.offset, source.offset};
    return {space, source.offset + first, source.offset + last + size};
  }

  /// Finds the view that writes each value, and the value in whose memory each piece lies.
  void find_homes() {
    home_.assign(excerpt_.values.size(), ViewId::none);
    whole_.assign(excerpt_.values.size(), PlanValue::none);
    for (const Plan::Step& step : plan_.steps) {
      for (const ViewId v : step.output_views()) home_[plan_.view_values[v]] = v;
    }
    for (const Plan::Step& step : plan_.steps) {
      if (step.op->cpu.piece_of_output == nullptr) continue;
      const Range all = range_of(step.first_output);
      for (const ViewId v : step.input_views()) {
        const PlanValue base = excerpt_.values[plan_.view_values[v]].base;
        if (home_[base] == ViewId::none || !is_memory(plan_.sources[v])) continue;
        const Range piece = range_of(home_[base]);
        if (piece.begin < piece.end && all.holds(piece)) {
          whole_[base] = plan_.view_values[step.first_output];
        }
      }
    }
  }

  /// Returns the bytes of the memory in which a view lies.
  int64_t bytes_of(const Plan::Source& source) const {
    switch (source.place) {
      case Plan::Place::arena:
        return plan_.arena_bytes;
      case Plan::Place::kept:
        return plan_.kept_bytes;
      default:
        if (source.index >= plan_.results.size()) return 0;
        const Plan::Result& result = plan_.results[source.index];
        return result.shape.size() * size_of(result.dtype);
    }
  }

  void check_bounds(StepId s, const Range& range, const Plan::Source& source) const {
    if (range.begin == range.end || (range.begin >= 0 && range.end <= bytes_of(source))) return;
    fail(s, "uses memory outside of what the plan has");
  }

  /// Returns the value whose memory this base occupies: itself, or the whole of which it is a
  /// piece.
  PlanValue owner_of(PlanValue base) const {
    return whole_[base] == PlanValue::none ? base : whole_[base];
  }

  /// Returns the place where a step writes the value, or the place `leaf` if none does.
  Plan::Source home_of(PlanValue value) const {
    if (home_[value] == ViewId::none) return {Plan::Place::leaf, index(value), 0};
    return plan_.sources[home_[value]];
  }

  /// Checks that a read uses the place where the value was written, and the value's shape.
  void check_place(StepId s, ViewId view) const {
    const PlanValue value = plan_.view_values[view];
    const Excerpt::Value& v = excerpt_.values[value];
    const Plan::Source& source = plan_.sources[view];
    TensorView expected = excerpt_.view_of(value);
    const bool is_view = v.base != value;
    int64_t offset =
        is_view ? excerpt_.graph->offset_of(excerpt_.recorded(value)) * size_of(expected.dtype) : 0;
    bool right = false;
    switch (v.kind) {
      case Excerpt::Kind::leaf:
        right = source.place == Plan::Place::leaf && source.value() == v.base;
        break;
      case Excerpt::Kind::known:
        right = source.place == Plan::Place::known && source.value() == v.base;
        break;
      case Excerpt::Kind::computed: {
        if (home_[v.base] == ViewId::none) fail(s, "reads what no step writes");
        const Plan::Source& home = plan_.sources[home_[v.base]];
        right = source.place == home.place && source.index == home.index;
        offset += home.offset;
        if (whole_[v.base] != PlanValue::none)
          expected.strides = plan_.views[home_[v.base]].strides;
        break;
      }
    }
    const TensorView& has = plan_.views[view];
    right = right && source.offset == offset && has.dtype == expected.dtype &&
            has.shape == expected.shape;
    for (int axis = 0; right && axis < has.shape.rank(); ++axis) {
      const auto a = static_cast<size_t>(axis);
      right =
          has.shape[axis] <= 1 || has.shape.size() == 0 || has.strides[a] == expected.strides[a];
    }
    if (!right) fail(s, fmt::format("looks for value {} where it does not lie", index(value)));
  }

  // ---- what lies in memory while the plan runs --------------------------------------------------

  struct Access {
    StepId step;
    Range range;
    ViewId view;        // none: scratch
    int64_t width = 0;  // if accessed row by row: elements of the value per row
  };
  /// Memory that a value occupies.
  struct Cell {
    Range range;
    PlanValue owner;  // none: scratch, or the rest of a value that was partly overwritten
    std::vector<Access> writes, reads;
    std::vector<Access> before;  // accesses to the previous content; every writer of a piece waits
                                 // for them
  };

  void follow(StepId s) {
    const Plan::Step& step = plan_.steps[s];
    for (uint32_t i = 0; i < step.inputs; ++i) {
      const ViewId view = step.first_input + i;
      check_place(s, view);
      if (!is_memory(plan_.sources[view])) continue;
      const PlanValue base = excerpt_.values[plan_.view_values[view]].base;
      const Access access{s, range_of(view), view, width_of(step, step.rows.inputs, i, view)};
      check_bounds(s, access.range, plan_.sources[view]);
      if (access.range.begin == access.range.end) continue;
      Cell* const cell = cell_of(owner_of(base));
      if (cell == nullptr) fail(s, fmt::format("reads value {}, which is not there", index(base)));
      for (const Access& write : cell->writes) order(s, access, write);
      cell->reads.push_back(access);
    }
    if (step.scratch_bytes > 0) {
      const Range range{{Plan::Place::arena, 0}, step.scratch, step.scratch + step.scratch_bytes};
      check_bounds(s, range, {Plan::Place::arena, 0, 0});
      occupy(s, {s, range, ViewId::none}, range, PlanValue::none);
    }
    for (uint32_t i = 0; i < step.outputs; ++i) {
      const ViewId view = step.first_output + i;
      if (!is_memory(plan_.sources[view])) fail(s, "writes to memory that is not the plan's");
      check_place(s, view);
      const Access access{s, range_of(view), view, width_of(step, step.rows.outputs, i, view)};
      check_bounds(s, access.range, plan_.sources[view]);
      if (access.range.begin == access.range.end) continue;
      const PlanValue owner = owner_of(plan_.view_values[view]);
      if (Cell* const cell = cell_of(owner)) {  // another piece, or the whole around its pieces
        write_piece(s, access, view, *cell);
        continue;
      }
      Range all = access.range;
      if (owner != plan_.view_values[view]) all = range_of(home_[owner]);
      occupy(s, access, all, owner);
    }
  }

  /// Returns the number of elements of the view per row, or 0 if it is not accessed row by row.
  int64_t width_of(const Plan::Step& step, uint32_t bits, uint32_t i, ViewId view) const {
    if (i >= 32 || (bits >> i & 1) == 0) return 0;
    return plan_.views[view].size() == step.rows.count * step.rows.width ? step.rows.width : 1;
  }

  Cell* cell_of(PlanValue owner) {
    const auto at = place_of_.find(owner);
    if (at == place_of_.end()) return nullptr;
    const auto cell = cells_.find({at->second.space, at->second.begin});
    const bool here = cell != cells_.end() && cell->second.owner == owner;
    return here ? &cell->second : nullptr;
  }

  /// Places a new value in memory. All accesses to the previous content must have run.
  void occupy(StepId s, const Access& access, const Range& range, PlanValue owner) {
    auto at = cells_.lower_bound({range.space, range.begin});
    while (at != cells_.begin() && std::prev(at)->second.range.meets(range)) --at;
    std::vector<Cell> rests;
    std::vector<Access> before;
    while (at != cells_.end() && at->second.range.meets(range)) {
      Cell& cell = at->second;
      for (const auto* accesses : {&cell.writes, &cell.reads}) {
        for (const Access& other : *accesses) {
          if (!other.range.meets(range)) continue;
          order(s, access, other);
          if (owner != PlanValue::none && owner != plan_.view_values[access.view]) {
            before.push_back(other);
          }
        }
      }
      if (cell.range.begin < range.begin) {
        rests.push_back(cell);
        rests.back().range.end = range.begin;
      }
      if (cell.range.end > range.end) {
        rests.push_back(cell);
        rests.back().range.begin = range.end;
      }
      at = cells_.erase(at);
    }
    for (Cell& rest : rests) {
      rest.owner = PlanValue::none;
      cells_[{rest.range.space, rest.range.begin}] = rest;
    }
    cells_[{range.space, range.begin}] = {range, owner, {access}, {}, before};
    if (owner != PlanValue::none) place_of_[owner] = range;
  }

  /// Checks a write of a piece. It must not overlap another piece. The operator that concatenates
  /// the pieces reads them all.
  void write_piece(StepId s, const Access& access, ViewId view, Cell& cell) {
    const bool puts_together = plan_.view_values[view] == cell.owner;
    for (const Access& other : cell.before) {
      if (other.range.meets(access.range)) order(s, access, other);
    }
    for (const Access& write : cell.writes) {
      if (puts_together) {
        order(s, access, write);
      } else if (write.range.meets(access.range) && overlaps(view, write.step, cell.owner)) {
        fail(s, "overwrites a piece of", write.step);
      }
    }
    cell.writes.push_back(access);
  }

  /// True if the view shares elements with those that the step has written to the owner's memory.
  bool overlaps(ViewId view, StepId step, PlanValue owner) const {
    const Plan::Step& other = plan_.steps[step];
    std::vector<std::pair<int64_t, int64_t>> rows;
    add_rows(view, rows);
    for (const ViewId v : other.output_views()) {
      if (v != view && owner_of(plan_.view_values[v]) == owner) add_rows(v, rows);
    }
    std::sort(rows.begin(), rows.end());
    for (size_t i = 1; i < rows.size(); ++i) {
      if (rows[i].first < rows[i - 1].second) return true;
    }
    return false;
  }

  void add_rows(ViewId view, std::vector<std::pair<int64_t, int64_t>>& rows) const {
    const TensorView& v = plan_.views[view];
    const int rank = v.shape.rank();
    const int64_t size = size_of(v.dtype), width = rank == 0 ? 1 : v.shape[rank - 1];
    for (int64_t row = 0; row < v.shape.size() / std::max<int64_t>(1, width); ++row) {
      int64_t offset = plan_.sources[view].offset, rest = row;
      for (int axis = rank - 2; axis >= 0; --axis) {
        offset += rest % v.shape[axis] * v.strides[static_cast<size_t>(axis)] * size;
        rest /= v.shape[axis];
      }
      rows.emplace_back(offset, offset + width * size);
    }
  }

  /// Checks the order of two accesses to the same memory, at least one of them a write. `other` has
  /// to come first.
  void order(StepId s, const Access& access, const Access& other) {
    if (other.step == s) {
      if (!is_in_place(s, access, other)) fail(s, "overwrites what it reads or makes");
    } else if (chain_of_[s] == chain_of_[other.step]) {
      // The steps of a chain alternate, some rows at a time.
      if (!same_rows(access, other)) {
        fail(s, "touches other rows than the step beside it in its chain,", other.step);
      }
    } else if (!waits_for(s, other.step)) {
      fail(s, "touches the memory of a step that it does not wait for:", other.step);
    }
  }

  /// True if a step may write in place of the input: its operator permits it, and both views agree.
  bool is_in_place(StepId s, const Access& write, const Access& read) const {
    const Plan::Step& step = plan_.steps[s];
    if (write.view == ViewId::none || read.view == ViewId::none || read.view >= step.first_output) {
      return false;
    }
    const uint32_t input = read.view - step.first_input, output = write.view - step.first_output;
    const bool may = step.op->cpu.pointwise != nullptr ||
                     (output == 0 && input < 32 && (step.op->traits.in_place >> input & 1) != 0);
    const TensorView &from = plan_.views[read.view], &to = plan_.views[write.view];
    return may && from.dtype == to.dtype && from.shape == to.shape &&
           read.range.begin == write.range.begin && read.range.end == write.range.end;
  }

  /// True if two steps touch the same part of a value in the same range of a chain.
  bool same_rows(const Access& a, const Access& b) const {
    if (a.width == 0 || b.width == 0) return false;
    if (a.range.begin != b.range.begin || a.range.end != b.range.end) return false;
    const RowExtent &x = plan_.steps[a.step].rows, &y = plan_.steps[b.step].rows;
    return x.width == y.width ? a.width == b.width : a.width == x.width && b.width == y.width;
  }

  // ---- the rest ---------------------------------------------------------------------------------

  void check_wanted() {
    IdVector<PlanValue, bool> found(excerpt_.values.size(), false);
    for (const auto& [value, view] : plan_.wanted) {
      found[value] = true;
      if (plan_.view_values[view] != value)
        throw Error({.op = "plan", .detail = "a wanted value has another's view"});
      if (excerpt_.computed(value) || !plan_.steps.empty()) check_place(plan_.steps.last(), view);
      if (!is_memory(plan_.sources[view])) continue;
      const Range range = range_of(view);
      if (range.begin == range.end) continue;
      if (plan_.sources[view].place != Plan::Place::result ||
          cell_of(owner_of(excerpt_.values[value].base)) == nullptr) {
        throw Error(
            {.op = "plan",
             .detail = fmt::format("the wanted value {} is not there at the end", index(value))});
      }
    }
    for (const PlanValue target : excerpt_.targets) {
      if (!found[target])
        throw Error({.op = "plan", .detail = fmt::format("target {} is not made", index(target))});
    }
    for (uint32_t r = 0; r < plan_.results.size(); ++r) {
      const Plan::Result& result = plan_.results[r];
      const Value& value = excerpt_.recorded(result.value);
      const Plan::Source home = home_of(result.value);
      if (home.place != Plan::Place::result || home.index != r || home.offset != 0 ||
          result.dtype != value.dtype || result.shape != value.shape) {
        throw Error({.op = "plan",
                     .detail = fmt::format("result {} is not value {}", r, index(result.value))});
      }
    }
    for (const Plan::Kept& kept : plan_.kept) {
      const bool empty = excerpt_.recorded(kept.value).shape.size() == 0;
      const Plan::Source home = home_of(kept.value);
      const bool right = home.place == Plan::Place::kept && home.offset == kept.offset;
      if (!right || (!empty && cell_of(kept.value) == nullptr)) {
        throw Error({.op = "plan",
                     .detail = fmt::format("the kept value {} is not there at the end",
                                           index(kept.value))});
      }
    }
  }

  IdVector<PlanValue, ViewId> home_;                 // the view that writes the value
  IdVector<PlanValue, PlanValue> whole_;             // the whole of which it is a piece
  std::map<std::pair<Space, int64_t>, Cell> cells_;  // by their beginning
  std::map<PlanValue, Range> place_of_;              // by owner
};

}  // namespace

void check_plan(const Excerpt& excerpt, const Plan& plan) { Checker(excerpt, plan).check(); }

}  // namespace rapt::internal
