// A random program as data: statements that can be recorded repeatedly, removed, and printed.
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

/// A call: an operator, its operands and its attributes. Each kind defines its attributes.
struct Statement {
  const Kind* kind = nullptr;
  std::vector<int> in;     // indices of values
  std::vector<int64_t> p;  // attributes
  std::vector<int> out;    // indices of the resulting values
};

/// Properties of a value that the generator knows without computing it.
struct ValueInfo {
  Shape shape;
  DType dtype = DType::float32;
  double bound = 0;  // elements are below about 2^bound; keeps most numbers finite
};

struct Program {
  uint64_t seed = 0;
  std::vector<Statement> statements;
  std::vector<ValueInfo> values;
  bool training = true;            // the kind of tape
  int steps = 1;                   // number of times it is recorded and run
  std::vector<int64_t> optimizer;  // see make_optimizer(); empty: none
};

/// Information for recording a statement, in addition to its operands.
struct Recording {
  int step = 0;                                                  // number of earlier recordings
  std::function<Parameter(const Statement&)> parameter_of = {};  // for statements `parameter`
};

using Vars = std::vector<Var>;

/// An operator, or one way to call it.
struct Kind {
  std::string name;
  double weight = 1;  // relative frequency with which the generator tries it
  /// Records a call with operands of the generator's choice. Returns false if none fit.
  std::function<bool(Generator&)> choose = {};
  std::function<Vars(const Statement&, const Vars&, const Recording&)> apply = {};
  /// C++ text: $0 is an operand, $* all of them, #0 an attribute, #* all of them, #2* all from the
  /// third on. Empty: name($*, #*).
  std::string text = {};
};

/// Returns all kinds. Those with a special role come first and are found by name.
const std::vector<Kind>& kinds();
const Kind& kind(const std::string& name);

// Roles: kinds that the runner handles itself.
//   look         requests values: p[0] = 0 one by one, 1 in one run(), 2 in one run() in reverse
//   accumulate   of a loss: in[0]; the other operands are requested along with it
//   step         in[0 .. p[0]) are losses, one of which the step's number selects; others as above;
//                throws at step p[1], because the last of the others is a trap
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

/// Returns the program of a seed. Only records it; nothing is computed.
Program generate(uint64_t seed, const GenerateOptions& options);

/// Prints the program as approximate C++.
std::string to_text(const Program& program);

/// Returns the tensor of a leaf's statement in a step.
Tensor leaf_tensor(const Statement& statement, int step);

}  // namespace rapt::programs
