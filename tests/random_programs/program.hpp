// A random program as data: statements that can be recorded again and again, left out, and printed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "framework/core/random.hpp"
#include "framework/graph/parameter.hpp"
#include "framework/graph/var.hpp"

namespace rapt::programs {

struct Kind;
class Generator;

/// A call: which operator, of which values, with which numbers. What a number means is the kind's.
struct Statement {
  const Kind* kind = nullptr;
  std::vector<int> in;     // numbers of values
  std::vector<int64_t> p;  // attributes
  std::vector<int> out;    // numbers of the values that it makes
};

/// What the generator knows of a value without computing it.
struct ValueInfo {
  Shape shape;
  DType dtype = DType::float32;
  double bound = 0;  // its elements are below 2^bound or so: keeps most numbers finite
};

struct Program {
  uint64_t seed = 0;
  std::vector<Statement> statements;
  std::vector<ValueInfo> values;
  bool training = true;            // the tape's kind
  int steps = 1;                   // how often it is recorded and run
  std::vector<int64_t> optimizer;  // see make_optimizer(); empty: none
};

/// What a statement may need beside its operands while it is recorded.
struct Recording {
  int step = 0;                                                  // how often it was recorded before
  std::function<Parameter(const Statement&)> parameter_of = {};  // of a statement `parameter`
};

using Vars = std::vector<Var>;

/// An operator, or a way to call it.
struct Kind {
  std::string name;
  double weight = 1;  // how often the generator tries it, against the others
  /// Records a call with operands of the generator's choice. False: there were none that fit.
  std::function<bool(Generator&)> choose = {};
  std::function<Vars(const Statement&, const Vars&, const Recording&)> apply = {};
  /// As C++: $0 is an operand, $* all of them, #0 an attribute, #* all of them, #2* from the third
  /// on. Empty: name($*, #*).
  std::string text = {};
};

/// All kinds; the first are those with a role of their own, found by name.
const std::vector<Kind>& kinds();
const Kind& kind(const std::string& name);

// Roles: kinds that the runner handles by itself.
//   look         asks for values: p[0] = 0 one by one, 1 by one run(), 2 by one run() in reverse
//   accumulate   of a loss: in[0]; the others are asked for along with it
//   step         in[0 .. p[0]) are losses, of which the step's number chooses; the others as above;
//                where the step's number is p[1] it throws, for the last of the others is a trap
bool is_role(const Statement& statement);

void add_leaf_kinds(std::vector<Kind>& kinds);
void add_elementwise_kinds(std::vector<Kind>& kinds);
void add_shape_kinds(std::vector<Kind>& kinds);
void add_reduce_kinds(std::vector<Kind>& kinds);
void add_row_kinds(std::vector<Kind>& kinds);
void add_product_kinds(std::vector<Kind>& kinds);
void add_sequence_kinds(std::vector<Kind>& kinds);
void add_attention_kinds(std::vector<Kind>& kinds);
void add_table_kinds(std::vector<Kind>& kinds);
void add_gradient_kinds(std::vector<Kind>& kinds);

struct GenerateOptions {
  int operators = 0;  // 0: a mix of 5 to 80
};

/// The program of a seed. Recording alone: nothing is computed.
Program generate(uint64_t seed, const GenerateOptions& options);

/// As C++, nearly.
std::string to_text(const Program& program);

/// The tensor that a leaf's statement stands for, in a step.
Tensor leaf_tensor(const Statement& statement, int step);

}  // namespace rapt::programs
