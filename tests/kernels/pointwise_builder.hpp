// Pointwise programs for tests, put together piece by piece.
#pragma once

#include <algorithm>
#include <vector>

#include "ops/kernels/elementwise/pointwise.hpp"

namespace rapt::test {

using namespace rapt::kernels;

template <class T>
constexpr ElementType type_of = sizeof(T) == 4 ? ElementType::f32 : ElementType::f64;

template <class T>
auto runner() {
  if constexpr (sizeof(T) == 4) {
    return kernels::kernels<PointwiseKernels>().run_f32;
  } else {
    return kernels::kernels<PointwiseKernels>().run_f64;
  }
}

// Its operands are dense or strided.
struct Builder {
  std::vector<Instruction> code;
  std::vector<PointwiseOperand> inputs, outputs;
  PointwiseSpace space{};
  int registers = 0;

  explicit Builder(std::vector<int64_t> shape) {
    space.dims = int(shape.size());
    std::copy(shape.begin(), shape.end(), space.shape);
  }
  PointwiseOperand operand(ElementType type, std::vector<int64_t> strides, int reg) {
    PointwiseOperand o{};
    o.type = type;
    if (strides.empty()) {
      int64_t size = 1;
      for (int d = space.dims - 1; d >= 0; --d) {
        o.strides[d] = size;
        size *= space.shape[d];
      }
    } else {
      std::copy(strides.begin(), strides.end(), o.strides);
    }
    o.reg = uint16_t(reg);
    registers = std::max(registers, reg + 1);
    return o;
  }
  Builder& in(ElementType type, int reg, std::vector<int64_t> strides = {}) {
    inputs.push_back(operand(type, strides, reg));
    return *this;
  }
  Builder& out(ElementType type, int reg, std::vector<int64_t> strides = {}) {
    outputs.push_back(operand(type, strides, reg));
    return *this;
  }
  Builder& op(Code c, int to, int a = 0, int b = 0, int cc = 0) {
    code.push_back({c, uint16_t(to), uint16_t(a), uint16_t(b), uint16_t(cc)});
    registers = std::max(registers, to + 1);
    return *this;
  }
  int64_t size() const {
    int64_t n = 1;
    for (int d = 0; d < space.dims; ++d) n *= space.shape[d];
    return n;
  }
  PointwiseProgram program() const {
    return {code.data(),        int(code.size()), registers,           inputs.data(),
            int(inputs.size()), outputs.data(),   int(outputs.size()), space};
  }
  template <class T>
  void run(std::vector<const void*> in_data, std::vector<void*> out_data,
           const DropoutParameters* dropout = nullptr, std::vector<int64_t> cuts = {}) const {
    const PointwiseProgram p = program();
    const PointwiseArguments arguments{in_data.data(), out_data.data(), dropout};
    int64_t begin = 0;
    cuts.push_back(size());
    for (int64_t end : cuts) {
      runner<T>()(p, arguments, begin, end);
      begin = end;
    }
  }
};

}  // namespace rapt::test
