#include "models/decoding/step_model.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/shape/gather.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

Var int_leaf(const std::vector<int32_t>& values) {
  return as_var(tensor(values, {static_cast<int64_t>(values.size())}));
}

int64_t checked_sentences(const Tensor& source) {
  if (!source || source.shape().rank() != 2 || source.dtype() != DType::int32) {
    throw Error({.kind = !source                          ? ErrorKind::usage
                         : source.dtype() != DType::int32 ? ErrorKind::type
                                                          : ErrorKind::shape,
                 .op = "start",
                 .detail = fmt::format("expected a source int32 [B, S], got {} {}",
                                       source ? name(source.dtype()) : "an empty tensor",
                                       source ? to_string(source.shape()) : "")});
  }
  return source.shape()[0];
}

void check_encoded(const Var& output, int64_t sentences) {
  const Shape shape = output.shape();
  if (shape.rank() > 0 && shape[0] == sentences) return;
  throw Error(
      {.kind = ErrorKind::shape,
       .op = "start",
       .detail = fmt::format("expected a row for each of {} sentences, the encoder gives {}",
                             sentences, to_string(shape))});
}

std::vector<Tensor> Stepper::step(
    StepInput input, const std::function<std::vector<Var>(const Var& scores)>& choose) {
  const Tape tape;
  if (!states_.empty()) {
    const Var order = int_leaf(input.parents);
    for (const Tensor& state : states_) input.states.push_back(take(state, order, 0));
  }
  const StepOutput output = model_.step(input);
  const Shape shape = output.scores.shape();
  if (shape.rank() != 2 || shape[0] != input.rows()) {
    throw Error({.kind = ErrorKind::shape,
                 .op = "step",
                 .detail = fmt::format("the model gave scores {} for {} rows", to_string(shape),
                                       input.rows())});
  }
  const std::vector<Var> chosen = choose(output.scores);
  std::vector<Var> wanted = chosen;
  wanted.insert(wanted.end(), output.states.begin(), output.states.end());
  Executor::current().run(wanted);
  states_.clear();
  for (const Var& state : output.states) states_.push_back(state.value());
  std::vector<Tensor> values;
  for (const Var& var : chosen) values.push_back(var.value());
  return values;
}

}  // namespace v0
}  // namespace rapt
