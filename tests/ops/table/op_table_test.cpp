// Checks every row of the operator table: values, strides, gradients, threads and fusion.
#include "tests/ops/table/op_table.hpp"

#include <cmath>
#include <cstring>
#include <set>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/check_gradient.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"

namespace rapt::test {
namespace {

const Key key{20};

/// Draws the row's inputs in double precision (int32 and boolean as they are).
std::vector<Tensor> draw(const Row& row) {
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < row.inputs.size(); ++i) {
    const Input& spec = row.inputs[i];
    const Tensor real = uniform(key.fold(i), spec.shape, spec.low, spec.high, DType::float64);
    if (spec.dtype == DType::float64) {
      inputs.push_back(real);
      continue;
    }
    for (double& value : real.data<double>()) value = std::floor(value);
    inputs.push_back(real.to(spec.dtype));
  }
  return inputs;
}

Array to_array(const Tensor& tensor) {
  std::vector<size_t> shape(tensor.shape().begin(), tensor.shape().end());
  Array array(shape);
  const std::vector<double> values = tensor.to_vector<double>();
  std::copy(values.begin(), values.end(), array.begin());
  return array;
}

Tensor in_type(const Tensor& tensor, DType dtype) {
  return is_float(tensor.dtype()) ? tensor.to(dtype) : tensor;
}

/// Returns the same values, stored with the last two axes swapped in memory.
Var swapped_in_memory(const Tensor& tensor) {
  const Var plain = as_var(tensor);
  if (tensor.shape().rank() < 2) return plain;
  const Var stored = contiguous(transpose(plain));
  return transpose(stored);
}

void compare(const Row& row, const Tensor& given, const Array& expected, double tolerance) {
  REQUIRE(given.shape().rank() == static_cast<int>(expected.dimension()));
  for (int axis = 0; axis < given.shape().rank(); ++axis) {
    REQUIRE(given.shape()[axis] ==
            static_cast<int64_t>(expected.shape()[static_cast<size_t>(axis)]));
  }
  const std::vector<double> values = given.to_vector<double>();
  size_t i = 0;
  for (const double want : expected) {
    const double got = values[i];
    const bool same = (std::isnan(want) && std::isnan(got)) || want == got ||
                      std::abs(got - want) <= tolerance * (1 + std::abs(want));
    if (!same) {
      INFO(row.name << ", element " << i << ": " << got << " for " << want);
      REQUIRE(same);
    }
    ++i;
  }
}

std::vector<Tensor> bits_of_training_step(const Row& row, const std::vector<Tensor>& inputs) {
  Tape tape(Training{key});
  std::vector<Var> vars, wrt, wanted;
  for (const Tensor& input : inputs) vars.push_back(as_var(in_type(input, DType::float32)));
  for (const Var& var : vars) {
    if (is_float(var.dtype())) wrt.push_back(var);
  }
  const Var y = row.apply(vars);
  wanted.push_back(y);
  if (row.gradient) {
    for (const Var& g : grad(sum(y * 0.5), wrt)) wanted.push_back(g);
  }
  Executor::current().run(wanted);
  std::vector<Tensor> results;
  for (const Var& var : wanted) results.push_back(var.value().clone());
  return results;
}

bool same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    const auto bytes = static_cast<size_t>(a[i].size() * size_of(a[i].dtype()));
    if (std::memcmp(a[i].bytes(), b[i].bytes(), bytes) != 0) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("values in double and float, plain and swapped in memory") {
  for (const Row& row : all_rows()) {
    DYNAMIC_SECTION(row.name) {
      const std::vector<Tensor> inputs = draw(row);
      std::vector<Array> arrays;
      for (const Tensor& input : inputs) arrays.push_back(to_array(input));
      const Array expected = row.expected(arrays);
      for (const DType dtype : {DType::float64, DType::float32}) {
        for (const bool swapped : {false, true}) {
          Tape tape(Training{key});
          std::vector<Var> vars;
          for (const Tensor& input : inputs) {
            const Tensor typed = in_type(input, dtype);
            vars.push_back(swapped ? swapped_in_memory(typed) : as_var(typed));
          }
          INFO(name(dtype) << (swapped ? ", swapped" : ""));
          // double: sums of some hundred terms, rounded in another order than the oracle's
          compare(row, row.apply(vars).value(), expected,
                  dtype == DType::float64 ? 1e-10 : row.tolerance);
        }
      }
    }
  }
}

TEST_CASE("gradients of first and second order against finite differences") {
  for (const Row& row : all_rows()) {
    if (!row.gradient) continue;
    DYNAMIC_SECTION(row.name) {
      std::vector<InputSpec> specs;
      for (const Input& input : row.inputs) {
        specs.push_back({input.shape, input.low, input.high, input.dtype});
      }
      const auto apply = [&](std::span<const Var> vars) {
        return row.apply(std::vector<Var>(vars.begin(), vars.end()));
      };
      CHECK_NOTHROW(check_gradient(apply, specs, {.key = key}));
    }
  }
}

TEST_CASE("the same bits on any number of threads, and without fusion's help") {
  for (const Row& row : all_rows()) {
    DYNAMIC_SECTION(row.name) {
      const std::vector<Tensor> inputs = draw(row);
      std::vector<std::vector<Tensor>> results;
      for (const int threads : {1, 2, 3, 8}) {
        Executor executor({.threads = threads, .parallel_from = 0});
        const Executor::Use use(executor);
        results.push_back(bits_of_training_step(row, inputs));
      }
      for (size_t i = 1; i < results.size(); ++i) CHECK(same_bits(results[0], results[i]));
      Executor executor({.threads = 1, .fuse = false});
      const Executor::Use use(executor);
      CHECK(same_bits(results[0], bits_of_training_step(row, inputs)));
    }
  }
}

TEST_CASE("every row has a name of its own") {
  std::set<std::string> names;
  for (const Row& row : all_rows()) CHECK(names.insert(row.name).second);
}

}  // namespace rapt::test
