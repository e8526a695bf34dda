// What the compiler has to refuse, each with what its message has to hold; refused.cmake compiles
// one CASE at a time. CASE 0 holds what has to compile.
#include <algorithm>
#include <functional>
#include <vector>

#include "ops/elementwise/elementwise.hpp"

using namespace rapt;

void forward(const ForwardContext&);
constexpr auto shape_of_input = [](ShapeContext& c) { return c.input(0); };

#if CASE == 0  // nothing
static const Op own{.name = "own", .shape = shape_of_input, .cpu = {.forward = forward}};

Var uses(StaticOp op, const Arg& x) { return record(op, {x}); }
void compiles(const Var& x, const Tensor& t) {
  static const Op local{.name = "local", .shape = shape_of_input, .cpu = {.forward = forward}};
  static const Op dynamic = [] {
    Op op = own;
    op.cpu.strided_inputs = true;
    return op;
  }();
  if (x.is_empty() || x.item() < 1) record(local, {uses(own, t), uses(dynamic, x)});
  const Var keep = logical_not(logical_and(x < 1, t));
  (void)tensor(std::vector<int64_t>{1}, {1}).to_vector<uint8_t>();
}
namespace beside_std {
using namespace std;
Var compared(const Var& a, const Var& b) { return where(lt(a, b), ge(a, b), eq(a, b)); }
}  // namespace beside_std
#elif CASE == 1   // a Var is no condition
void refused(const Var& loss, const Var& best) {
  if (loss < best) forward(*static_cast<ForwardContext*>(nullptr));
}
#elif CASE == 2   // a Var is no condition
void refused(const Var& norm) {
  while (norm > 0.1) forward(*static_cast<ForwardContext*>(nullptr));
}
#elif CASE == 3   // a Var is no condition.*maximum
Var refused(const Var& a, const Var& b) { return std::max(a, b); }
#elif CASE == 4   // a Var is no condition.*minimum
Var refused(const Var& a, const Var& b) { return std::min(a, b); }
#elif CASE == 5   // a Var is no condition.*logical_not
bool refused(const Var& mask) { return !mask; }
#elif CASE == 6   // a Var is no condition.*logical_and
bool refused(const Var& a, const Var& b) { return a && b; }
#elif CASE == 7   // a Var is no condition
double refused(const Var& loss) { return loss > 1 ? 1 : 0; }
#elif CASE == 8   // is not a constant expression
Var refused(const Var& x) {
  const Op op{.name = "local", .shape = shape_of_input, .cpu = {.forward = forward}};
  return record(op, {x});
}
#elif CASE == 9   // is not a constant expression
Var refused(const Var& x) {
  return record(Op{.name = "temporary", .shape = shape_of_input, .cpu = {.forward = forward}}, {x});
}
#elif CASE == 10  // is not a constant expression
Var refused(const Op* op, const Var& x) { return record(*op, {x}); }
#elif CASE == 11  // the values have to be float, double, bool or whole numbers
Tensor refused() { return tensor(std::vector<long double>{1}, {1}); }
#elif CASE == 12  // the elements become float, double, bool or a whole number
void refused(const Tensor& t) { (void)t.to_vector<long double>(); }
#elif CASE == 13  // elements of arrays are float, double, int32_t or bool
void refused(const Tensor& t) { (void)t.data<int64_t>(); }
#endif
