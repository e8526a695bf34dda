#include "ops/elementwise/pointwise.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/core/recycled.hpp"
#include "framework/graph/graph.hpp"
#include "framework/plan/fused_group.hpp"

namespace rapt::internal {
namespace {

using kernels::Code;
using kernels::Instruction;
using kernels::PointwiseOperand;

/// Compiled group of elementwise operators. An operand that is no array over the group's index
/// space (the key of a dropout) gets no register.
struct Program {
  kernels::PointwiseProgram plain;
  std::vector<Instruction> code;
  std::vector<PointwiseOperand> inputs, outputs;
  std::vector<int> input_views;  // view that feeds inputs[i]
  struct Dropout {
    int key_view;
    double p;
  };
  std::vector<Dropout> dropouts;
  bool wide = false;
};

kernels::ElementType element_type(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return kernels::ElementType::f32;
    case DType::float64:
      return kernels::ElementType::f64;
    case DType::int32:
      return kernels::ElementType::i32;
    case DType::boolean:
      return kernels::ElementType::b8;
  }
  throw Error({.kind = ErrorKind::type,
               .op = "elementwise",
               .detail = fmt::format("there is no code for {}", name(dtype))});
}

/// Returns the operand as seen over the index space: aligned at the last axis, stride 0 where it is
/// broadcast.
PointwiseOperand operand_of(const TensorView& view, const Shape& space, uint16_t reg) {
  PointwiseOperand operand{element_type(view.dtype), {}, reg};
  const int skipped = space.rank() - view.shape.rank();
  for (int axis = 0; axis < view.shape.rank(); ++axis) {
    if (view.shape[axis] == 1) continue;
    operand.strides[axis + skipped] = view.strides[static_cast<size_t>(axis)];
  }
  return operand;
}

class Compiler {
 public:
  explicit Compiler(const FusedGroup& group)
      : group_(group), program_(std::make_shared<Program>()) {}

  std::shared_ptr<const void> compile() {
    const Shape& space = group_.outputs.front().shape;
    program_->wide = group_.wide;
    load_operands(space);
    find_last_uses();
    for (size_t m = 0; m < group_.members.size(); ++m) add_instruction(m);
    for (size_t o = 0; o < group_.outputs.size(); ++o) {
      const auto member = static_cast<size_t>(group_.output_members[o]);
      program_->outputs.push_back(operand_of(group_.outputs[o], space, registers_[member]));
    }
    finish(space);
    return program_;
  }

 private:
  void load_operands(const Shape& space) {
    operand_registers_.assign(group_.operands.size(), 0);
    std::vector<bool> is_key(group_.operands.size(), false);
    for (const auto& member : group_.members) {
      if (member.op->cpu.code == code_of(Code::dropout)) is_key[key_of(member)] = true;
    }
    for (size_t i = 0; i < group_.operands.size(); ++i) {
      if (is_key[i]) continue;
      const uint16_t reg = next_register_++;
      operand_registers_[i] = reg;
      program_->inputs.push_back(operand_of(group_.operands[i], space, reg));
      program_->input_views.push_back(static_cast<int>(i));
    }
  }

  static size_t key_of(const FusedGroup::Member& dropout) {
    return static_cast<size_t>(-1 - dropout.inputs[1]);
  }

  void find_last_uses() {
    last_use_.assign(group_.members.size(), -1);
    for (size_t m = 0; m < group_.members.size(); ++m) {
      for (const int input : group_.members[m].inputs) {
        if (input >= 0) last_use_[static_cast<size_t>(input)] = static_cast<int>(m);
      }
    }
    // Outputs are stored after the last instruction, so their registers are not reused.
    for (const int member : group_.output_members) {
      last_use_[static_cast<size_t>(member)] = static_cast<int>(group_.members.size());
    }
  }

  void add_instruction(size_t m) {
    const FusedGroup::Member& member = group_.members[m];
    Instruction instruction{instruction_of(member), 0, 0, 0, 0};
    uint16_t* const fields[] = {&instruction.a, &instruction.b, &instruction.c};
    const bool is_dropout = instruction.code == Code::dropout;
    const size_t operands = is_dropout ? 1 : member.inputs.size();
    for (size_t i = 0; i < operands; ++i) *fields[i] = register_of(member.inputs[i]);
    // The square of an int32 is computed as a product.
    if (instruction.code == Code::mul_int32 && operands == 1) instruction.b = instruction.a;
    if (is_dropout) {
      instruction.b = static_cast<uint16_t>(program_->dropouts.size());
      program_->dropouts.push_back(
          {static_cast<int>(key_of(member)), attributes_of<DropoutAttributes>(member.words).p});
    }
    for (size_t i = 0; i < operands; ++i) {
      const int input = member.inputs[i];
      if (input < 0) continue;
      int& last = last_use_[static_cast<size_t>(input)];
      if (last != static_cast<int>(m)) continue;
      free_.push_back(registers_[static_cast<size_t>(input)]);
      last = -1;  // freed only once if an operand occurs twice
    }
    if (free_.empty()) {
      instruction.out = next_register_++;
    } else {
      instruction.out = free_.back();
      free_.pop_back();
    }
    registers_.push_back(instruction.out);
    program_->code.push_back(instruction);
    settle(member, instruction.out);
  }

  /// Returns the instruction of a member. int32 arrays have integer instructions, because double
  /// would round a product.
  static Code instruction_of(const FusedGroup::Member& member) {
    const auto code = static_cast<Code>(member.op->cpu.code);
    if (member.dtype != DType::int32) return code;
    switch (code) {
      case Code::mul:
      case Code::square:
        return Code::mul_int32;
      case Code::div:
        return Code::div_int32;
      case Code::pow:
        return Code::pow_int32;
      case Code::copy:
        return Code::to_int32;
      default:
        return code;
    }
  }

  /// Registers hold floats or doubles. Converts a member's result to a value of its own type, as a
  /// store to memory would.
  void settle(const FusedGroup::Member& member, uint16_t reg) {
    const auto then = [&](Code code) { program_->code.push_back({code, reg, reg, 0, 0}); };
    const auto code = static_cast<Code>(member.op->cpu.code);
    if (member.dtype == DType::boolean && code == Code::copy) {
      then(Code::logical_not);
      then(Code::logical_not);
    }
    const bool may_leave_int32 =
        code == Code::add || code == Code::sub || code == Code::neg || code == Code::abs;
    if (member.dtype == DType::int32 && may_leave_int32) then(Code::wrap_int32);
    if (member.dtype == DType::float32 && program_->wide) then(Code::narrow);
  }

  uint16_t register_of(int input) const {
    return input < 0 ? operand_registers_[static_cast<size_t>(-1 - input)]
                     : registers_[static_cast<size_t>(input)];
  }

  void finish(const Shape& space) {
    Program& p = *program_;
    p.plain.space.dims = std::max(space.rank(), 1);
    p.plain.space.shape[0] = 1;
    for (int axis = 0; axis < space.rank(); ++axis) p.plain.space.shape[axis] = space[axis];
    p.plain.code = p.code.data();
    p.plain.count = static_cast<int>(p.code.size());
    p.plain.registers = next_register_;
    p.plain.inputs = p.inputs.data();
    p.plain.input_count = static_cast<int>(p.inputs.size());
    p.plain.outputs = p.outputs.data();
    p.plain.output_count = static_cast<int>(p.outputs.size());
    kernels::kernels<kernels::PointwiseKernels>().collapse(p.plain.space, p.inputs.data(),
                                                           p.plain.input_count, p.outputs.data(),
                                                           p.plain.output_count);
  }

  const FusedGroup& group_;
  std::shared_ptr<Program> program_;
  std::vector<uint16_t> operand_registers_, registers_, free_;
  std::vector<int> last_use_;
  uint16_t next_register_ = 0;
};

std::shared_ptr<const void> compile(const FusedGroup& group) { return Compiler(group).compile(); }

/// Treats each element as a row.
RowExtent extent(const ForwardContext& c) {
  const Shape& shape = c.output().shape;
  const auto* program = static_cast<const Program*>(c.program());
  // A task needs about 2^17 element instructions, some 20 microseconds, to be worth its overhead.
  const int64_t instructions = program != nullptr ? program->plain.count + 1 : 4;
  RowExtent rows{.count = shape.size(),
                 .range = std::max<int64_t>(4096, (int64_t{1} << 17) / instructions)};
  for (int i = 0; i < std::min(c.inputs(), 32); ++i) {
    const TensorView& x = c.input(i);
    if (x.shape == shape && x.strides == contiguous_strides(shape)) rows.inputs |= 1u << i;
  }
  rows.outputs = ~0u;
  return rows;
}

void run(const ForwardContext& c, int64_t begin, int64_t end) {
  const Program& program = *static_cast<const Program*>(c.program());
  const void* inputs[kernels::max_inputs];
  void* outputs[kernels::max_outputs];
  kernels::DropoutParameters few[8];
  Recycled<kernels::DropoutParameters> many;
  for (size_t i = 0; i < program.input_views.size(); ++i) {
    inputs[i] = c.input(program.input_views[i]).data;
  }
  for (int i = 0; i < c.outputs(); ++i) outputs[i] = c.output(i).data;
  kernels::DropoutParameters* dropouts = few;
  if (program.dropouts.size() > std::size(few)) {
    many.resize(program.dropouts.size());
    dropouts = many.data();
  }
  for (size_t i = 0; i < program.dropouts.size(); ++i) {
    uint64_t key[2];
    std::memcpy(key, c.input(program.dropouts[i].key_view).data, sizeof key);
    dropouts[i] = {key[0], key[1], program.dropouts[i].p};
  }
  const kernels::PointwiseArguments arguments{inputs, outputs, dropouts};
  const auto& kernel = kernels::kernels<kernels::PointwiseKernels>();
  (program.wide ? kernel.run_f64 : kernel.run_f32)(program.plain, arguments, begin, end);
}

void broadcast_operands(ShapeContext& c, bool comparison) {
  const Graph& graph = c.graph();
  const auto inputs = graph.inputs_of(graph.nodes[c.node()]);
  if (inputs.empty()) c.fail("needs an operand");
  const Value& first = graph.values[inputs[0]];
  const DType dtype = comparison ? DType::boolean : first.dtype;
  bool alike = true;
  for (const ValueId input : inputs.subspan(1)) {
    const Value& value = graph.values[input];
    if (value.dtype != first.dtype) {
      c.fail(fmt::format("types differ: {} and {}", name(first.dtype), name(value.dtype)),
             ErrorKind::type);
    }
    alike = alike && value.shape == first.shape;
  }
  if (alike) return c.output(first.shape, dtype);
  Shape shape = first.shape;
  for (const ValueId input : inputs.subspan(1)) {
    const Shape& other = graph.values[input].shape;
    if (broadcast(shape, other, shape)) continue;
    c.fail(fmt::format("shapes do not broadcast: {} and {}", to_string(shape), to_string(other)));
  }
  c.output(shape, dtype);
}

}  // namespace

const PointwiseFamily pointwise_family{.compile = compile,
                                       .program = {.extent = extent, .rows = run}};

void pointwise_shape(ShapeContext& c) { broadcast_operands(c, false); }
void comparison_shape(ShapeContext& c) { broadcast_operands(c, true); }

void float_shape(ShapeContext& c) {
  if (!is_float(c.dtype())) {
    c.fail(fmt::format("needs float32 or float64, got {}; cast() converts", name(c.dtype())),
           ErrorKind::type);
  }
  broadcast_operands(c, false);
}

void logic_shape(ShapeContext& c) {
  if (c.dtype() != DType::boolean) {
    c.fail(fmt::format("needs boolean arrays, got {}", name(c.dtype())), ErrorKind::type);
  }
  broadcast_operands(c, true);
}

}  // namespace rapt::internal
