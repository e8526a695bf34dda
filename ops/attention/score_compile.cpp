#include <algorithm>
#include <optional>

#include "ops/attention/score_program.hpp"

namespace rapt::internal {

using kernels::Code;
using kernels::no_register;
using kernels::ScoreAccess;
using kernels::ScoreStep;

namespace {

// Bits of a value's dependence. A value with none of them is constant in a tile and needs only a
// narrow register.
constexpr uint8_t on_row = 1, on_key = 2, on_pair = 4;

constexpr bool is_wide(uint8_t dependence) { return (dependence & (on_key | on_pair)) != 0; }

/// Groups into which the steps of a program are sorted.
enum class Sort : uint8_t { tile, keys, row, forward, backward };

/// Register and the step that fills it. A place has no step.
struct Entry {
  ScoreStep step{Code::copy, -1, 0, 0, 0, 0};
  int operands = 0;
  uint8_t dependence = 0;
  bool is_place = false, needed = false, in_score = false;
  int last_use = -1;
};

/// Index sign * key + base, clamped to [low, high]. It reads a row of adjacent elements.
struct Affine {
  int sign = 1;
  uint16_t base = no_register;  // none: 0
  uint16_t low = no_register, high = no_register;
};

}  // namespace

class ScoreCompiler {
 public:
  ScoreCompiler(std::span<const int64_t> text, std::span<const TensorView> captured,
                CompiledScore& to)
      : reader_(text), captured_(captured), to_(to) {}

  void compile(bool derivative, int64_t queries, int64_t keys) {
    for (int place = 0; place < score_places; ++place) add_place(static_cast<ScorePlace>(place));
    for (int64_t i = 0; i < reader_.steps(); ++i) add_step(reader_.step(i));
    take_outputs(derivative);
    sort();
    assign_slots();
    finish(keys - queries);
  }

 private:
  // ---- entries: one register each ---------------------------------------------------------------

  void add_place(ScorePlace place) {
    constexpr uint8_t dependences[score_places] = {on_pair, 0, 0, on_row, on_key, on_row, on_pair};
    Entry entry;
    entry.is_place = true;
    entry.dependence = dependences[static_cast<int>(place)];
    entries_.push_back(entry);
  }

  uint16_t register_of(int64_t reference) const {
    return reference >= 0 ? registers_[static_cast<size_t>(reference)]
                          : static_cast<uint16_t>(-1 - reference);
  }
  uint8_t dependence(uint16_t reg) const { return entries_[reg].dependence; }
  bool narrow(int64_t reference) const { return !is_wide(dependence(register_of(reference))); }

  uint16_t add_entry(Entry entry) {
    entry.step.out = static_cast<uint16_t>(entries_.size());
    entries_.push_back(entry);
    return entry.step.out;
  }

  uint16_t add_instruction(Code code, std::initializer_list<uint16_t> operands) {
    Entry entry;
    entry.step.code = code;
    uint16_t* const fields[] = {&entry.step.a, &entry.step.b, &entry.step.c};
    for (const uint16_t operand : operands) {
      *fields[entry.operands++] = operand;
      entry.dependence |= dependence(operand);
    }
    // Fields that the code does not use name a valid register.
    for (int i = entry.operands; i < 3 && entry.operands > 0; ++i) *fields[i] = entry.step.a;
    return add_entry(entry);
  }

  void add_step(const ScoreReader::Step& step) {
    if (step.is_access()) return registers_.push_back(add_access(step));
    const auto code = static_cast<Code>(step.op->cpu.code);
    const auto operand = [&](size_t i) { return register_of(step.inputs[i]); };
    // Registers hold booleans as 0 and 1. Copying a float would not give these.
    if (code == Code::copy && static_cast<DType>(step.words[0]) == DType::boolean) {
      const uint16_t zero = add_instruction(Code::logical_not, {operand(0)});
      return registers_.push_back(add_instruction(Code::logical_not, {zero}));
    }
    switch (step.inputs.size()) {
      case 1:
        return registers_.push_back(add_instruction(code, {operand(0)}));
      case 2:
        return registers_.push_back(add_instruction(code, {operand(0), operand(1)}));
      default:
        return registers_.push_back(add_instruction(code, {operand(0), operand(1), operand(2)}));
    }
  }

  uint16_t add_access(const ScoreReader::Step& step) {
    const TensorView& array = captured_[static_cast<size_t>(step.inputs[0])];
    const Strides dense = contiguous_strides(array.shape);
    ScoreAccess access{};
    access.kind = ScoreAccess::splat;
    access.data = array.data;
    access.key_axis = -1;
    access.low = access.high = access.gradient = no_register;
    Entry entry;
    int wide_axes = 0;
    int64_t wide_reference = 0;
    for (int axis = 0; axis < array.shape.rank(); ++axis) {
      const int64_t reference = step.inputs[static_cast<size_t>(axis) + 1];
      if (reference == whole_axis) continue;
      const int at = access.axes++;
      access.index[at] = register_of(reference);
      access.size[at] = array.shape[axis];
      access.stride[at] = array.strides[static_cast<size_t>(axis)];
      access.sums_stride[at] = dense[static_cast<size_t>(axis)];
      entry.dependence |= dependence(access.index[at]);
      if (!is_wide(dependence(access.index[at]))) continue;
      ++wide_axes;
      access.key_axis = at;
      wide_reference = reference;
    }
    if (wide_axes > 0) access.kind = ScoreAccess::gather;
    const auto affine = wide_axes == 1 ? affine_of(wide_reference, true) : std::nullopt;
    if (affine) {
      access.kind = ScoreAccess::row;
      access.index[access.key_axis] = affine->base;
      access.sign = affine->sign;
      access.low = affine->low;
      access.high = affine->high;
    } else {
      access.key_axis = -1;
    }
    entry.step.access = static_cast<int16_t>(to_.accesses_.size());
    to_.accesses_.push_back(access);
    return add_entry(entry);
  }

  /// Returns the form sign * key + base of a reference, or nothing if it has no such form.
  std::optional<Affine> affine_of(int64_t reference, bool outermost) {
    if (reference == -1 - static_cast<int64_t>(ScorePlace::key)) return Affine{};
    if (reference < 0) return std::nullopt;
    const ScoreReader::Step step = reader_.step(reference);
    if (step.is_access()) return std::nullopt;
    const auto in = step.inputs;
    switch (static_cast<Code>(step.op->cpu.code)) {
      case Code::clamp: {
        if (!outermost || !narrow(in[1]) || !narrow(in[2])) return std::nullopt;
        auto inner = affine_of(in[0], false);
        if (inner) inner->low = register_of(in[1]), inner->high = register_of(in[2]);
        return inner;
      }
      case Code::neg:
        return reversed(affine_of(in[0], false));
      case Code::add:
        if (narrow(in[1])) return moved(affine_of(in[0], false), register_of(in[1]));
        if (narrow(in[0])) return moved(affine_of(in[1], false), register_of(in[0]));
        return std::nullopt;
      case Code::sub:
        if (narrow(in[1])) {
          return moved(affine_of(in[0], false), add_instruction(Code::neg, {register_of(in[1])}));
        }
        if (narrow(in[0])) return moved(reversed(affine_of(in[1], false)), register_of(in[0]));
        return std::nullopt;
      default:
        return std::nullopt;
    }
  }

  std::optional<Affine> moved(std::optional<Affine> a, uint16_t by) {
    if (a) a->base = a->base == no_register ? by : add_instruction(Code::add, {a->base, by});
    return a;
  }

  std::optional<Affine> reversed(std::optional<Affine> a) {
    if (!a) return a;
    a->sign = -a->sign;
    if (a->base != no_register) a->base = add_instruction(Code::neg, {a->base});
    return a;
  }

  // ---- needed entries ---------------------------------------------------------------------------

  template <class F>
  void for_operands(const Entry& entry, const F& f) const {
    if (entry.step.access < 0) {
      const uint16_t fields[] = {entry.step.a, entry.step.b, entry.step.c};
      for (int i = 0; i < entry.operands; ++i) f(fields[i]);
      return;
    }
    for_indices(to_.accesses_[static_cast<size_t>(entry.step.access)], f);
  }

  template <class F>
  static void for_indices(const ScoreAccess& access, const F& f) {
    for (int axis = 0; axis < access.axes; ++axis) {
      if (access.index[axis] != no_register) f(access.index[axis]);
    }
    if (access.low != no_register) f(access.low);
    if (access.high != no_register) f(access.high);
  }

  void need(uint16_t reg, bool in_score) {
    Entry& entry = entries_[reg];
    if (entry.needed && (entry.in_score || !in_score)) return;
    entry.needed = true;
    entry.in_score = entry.in_score || in_score;
    for_operands(entry, [&](uint16_t operand) { need(operand, in_score); });
  }

  void take_outputs(bool derivative) {
    const auto outputs = reader_.outputs();
    kernels::ScoreProgram& p = to_.program_;
    p.out = register_of(outputs[0]);
    p.value_gradient = no_register;
    need(p.out, true);
    to_.sums_.assign(captured_.size(), -1);
    if (!derivative) return;
    p.value_gradient = register_of(outputs[1]);
    need(p.value_gradient, false);
    for (size_t i = 2; i + 1 < outputs.size(); i += 2) {
      const Entry& read = entries_[register_of(outputs[i])];
      ScoreAccess& access = to_.accesses_[static_cast<size_t>(read.step.access)];
      const auto array = static_cast<size_t>(reader_.step(outputs[i]).inputs[0]);
      if (to_.sums_[array] < 0) {
        to_.sums_[array] = p.sums;
        p.sums += captured_[array].shape.size();
      }
      access.sums = to_.sums_[array];
      // A gradient that does not depend on the pair contains no upstream gradient, so it is 0.
      const uint16_t gradient = register_of(outputs[i + 1]);
      if ((dependence(gradient) & on_pair) == 0) continue;
      access.gradient = gradient;
      need(gradient, false);
      for_indices(access, [&](uint16_t index) { need(index, false); });
    }
  }

  // ---- order and memory -------------------------------------------------------------------------

  Sort sort_of(const Entry& entry) const {
    if ((entry.dependence & on_pair) != 0 || entry.dependence == (on_row | on_key)) {
      return entry.in_score ? Sort::forward : Sort::backward;
    }
    return entry.dependence == 0 ? Sort::tile : entry.dependence == on_row ? Sort::row : Sort::keys;
  }

  void sort() {
    kernels::ScoreProgram& p = to_.program_;
    int* const ends[] = {&p.tile_end, &p.keys_end, &p.row_end, &p.forward_end, &p.count};
    for (int sort = 0; sort < 5; ++sort) {
      for (const Entry& entry : entries_) {
        if (entry.is_place || !entry.needed || sort_of(entry) != static_cast<Sort>(sort)) continue;
        to_.steps_.push_back(entry.step);
      }
      *ends[sort] = static_cast<int>(to_.steps_.size());
    }
  }

  void use(uint16_t reg, int at) {
    if (reg != no_register) entries_[reg].last_use = std::max(entries_[reg].last_use, at);
  }

  void assign_slots() {
    kernels::ScoreProgram& p = to_.program_;
    for (int i = 0; i < p.count; ++i) {
      const Entry& entry = entries_[to_.steps_[static_cast<size_t>(i)].out];
      for_operands(entry, [&](uint16_t operand) { use(operand, i); });
    }
    // The score is read after the last step of the forward part. Derivatives are read at the end.
    use(p.out, p.forward_end);
    use(p.value_gradient, p.count);
    for (const ScoreAccess& access : to_.accesses_) {
      if (access.gradient == no_register) continue;
      use(access.gradient, p.count);
      for_indices(access, [&](uint16_t index) { use(index, p.count); });
    }
    const int value = static_cast<int>(ScorePlace::value);
    p.keeps_value = p.value_gradient != no_register &&
                    (entries_[static_cast<size_t>(value)].last_use >= p.forward_end);
    to_.slots_.assign(entries_.size(), -1);
    to_.is_wide_.assign(entries_.size(), 0);
    for (size_t reg = 0; reg < entries_.size(); ++reg) {
      const Entry& entry = entries_[reg];
      to_.is_wide_[reg] = is_wide(entry.dependence) ? 1 : 0;
      if (!entry.needed) continue;
      if (!is_wide(entry.dependence)) {
        to_.slots_[reg] = static_cast<int16_t>(p.narrow_slots++);
      } else if (entry.dependence == on_key || (static_cast<int>(reg) == value && p.keeps_value)) {
        to_.slots_[reg] = static_cast<int16_t>(p.wide_slots++);
      }
    }
    Recycled<int16_t> free;
    for (int i = p.row_end; i < p.count; ++i) {
      const uint16_t out = to_.steps_[static_cast<size_t>(i)].out;
      for (uint16_t reg = 0; reg < entries_.size(); ++reg) {
        const Entry& entry = entries_[reg];
        const bool reused = !entry.is_place && entry.needed && is_wide(entry.dependence) &&
                            entry.dependence != on_key && to_.slots_[reg] >= 0;
        if (reused && entry.last_use == i) free.push_back(to_.slots_[reg]);
      }
      if (free.empty()) {
        to_.slots_[out] = static_cast<int16_t>(p.wide_slots++);
      } else {
        to_.slots_[out] = free.back();
        free.pop_back();
      }
    }
  }

  uint16_t place(ScorePlace which) const {
    const auto reg = static_cast<uint16_t>(which);
    return entries_[reg].needed ? reg : no_register;
  }

  void finish(int64_t query_shift) {
    kernels::ScoreProgram& p = to_.program_;
    p.steps = to_.steps_.data();
    p.is_wide = to_.is_wide_.data();
    p.slot = to_.slots_.data();
    p.registers = static_cast<int>(entries_.size());
    p.accesses = to_.accesses_.data();
    p.access_count = static_cast<int>(to_.accesses_.size());
    p.value = place(ScorePlace::value);
    p.batch = place(ScorePlace::batch);
    p.head = place(ScorePlace::head);
    p.query = place(ScorePlace::query);
    p.query_number = place(ScorePlace::query_number);
    p.key = place(ScorePlace::key);
    p.upstream = place(ScorePlace::upstream);
    p.query_shift = query_shift;
  }

  ScoreReader reader_;
  std::span<const TensorView> captured_;
  CompiledScore& to_;
  Recycled<Entry> entries_;
  Recycled<uint16_t> registers_;  // by step
};

CompiledScore::CompiledScore(std::span<const int64_t> text, std::span<const TensorView> captured,
                             bool derivative, int64_t queries, int64_t keys) {
  ScoreCompiler(text, captured, *this).compile(derivative, queries, keys);
}

}  // namespace rapt::internal
