#include "tests/random_programs/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "framework/core/error.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "optim/ema.hpp"
#include "optim/optimizer.hpp"

namespace rapt::programs {
namespace {

/// Returns an executor that computes node by node, without plans.
Executor& reference_executor() {
  static Executor executor({.threads = 1, .reference = true});
  return executor;
}

/// The state that persists between steps: parameters, their optimizer and average.
class Model {
 public:
  explicit Model(const Program& program) {
    for (const Statement& s : program.statements) {
      if (s.kind->name != "parameter") continue;
      Parameter parameter(leaf_tensor(s, 0));
      parameter.state()->name = fmt::format("p{}", s.out[0]);
      by_value_.emplace(s.out[0], parameter);
      parameters_.push_back(parameter);
    }
    if (program.optimizer.empty() || parameters_.empty()) return;
    make_optimizer(program.optimizer);
  }

  Parameter of(const Statement& s) const { return by_value_.at(s.out[0]); }
  Optimizer* optimizer() const { return optimizer_.get(); }

  std::vector<Parameter> trainable() const {
    std::vector<Parameter> list;
    for (const Parameter& p : parameters_) {
      if (p.trainable()) list.push_back(p);
    }
    return list;
  }

  /// Prepares step t: changes the learning rate and freezes a parameter in some steps.
  void prepare(int t, const std::vector<int64_t>& words) {
    if (optimizer_ == nullptr) return;
    optimizer_->lr(0.05 / (1 + 0.5 * t));
    if (words[5] % 4 == 0) parameters_[0].set_trainable(t % 2 == 0 || parameters_.size() == 1);
  }

  void after_step(Outcome& out) {
    if (average_) average_->update();
    for (const Parameter& p : parameters_) out.values.emplace_back(p.name(), p.value().clone());
    for (const auto& [name, tensor] : optimizer_->state()) {
      out.values.emplace_back(name, tensor.clone());
    }
    if (average_) {
      for (const auto& [name, tensor] : average_->state()) {
        out.values.emplace_back(name, tensor.clone());
      }
    }
    out.values.emplace_back("last_norm", full({}, optimizer_->last_norm(), DType::float64));
  }

 private:
  void make_optimizer(const std::vector<int64_t>& words) {
    const double clip = words[1] % 3 == 0 ? 0.5 : 0;
    const double decay = words[2] % 3 == 0 ? 0.1 : 0;
    const double momentum = words[3] % 2 == 0 ? 0.9 : 0;
    switch (words[0] % 4) {
      case 0:
      case 1:
        optimizer_ = std::make_unique<Sgd>(parameters_,
                                           SgdOptions{.lr = 0.05,
                                                      .momentum = momentum,
                                                      .nesterov = momentum > 0 && words[4] % 2 == 0,
                                                      .weight_decay = decay,
                                                      .clip_norm = clip});
        break;
      case 2:
        optimizer_ = std::make_unique<Adam>(
            parameters_, AdamOptions{.lr = 0.05, .weight_decay = decay, .clip_norm = clip});
        break;
      default:
        optimizer_ = std::make_unique<AdamW>(
            decay_matrices_only(parameters_),
            AdamOptions{.lr = 0.05, .weight_decay = 0.1, .clip_norm = clip});
    }
    if (words[6] % 3 == 0) average_.emplace(parameters_, 0.8);
  }

  std::vector<Parameter> parameters_;
  std::map<int, Parameter> by_value_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<ExponentialMovingAverage> average_;
};

std::string value_name(int step, int value) { return fmt::format("step {}, v{}", step, value); }

/// The loss of a statement `accumulate` or `step`, and the index of the first other operand.
struct Losses {
  int loss;
  size_t also;
};

Losses losses_of(const Statement& s, int step) {
  const size_t n = s.p.empty() ? 1 : static_cast<size_t>(s.p[0]);
  return {s.in[static_cast<size_t>(step) % n], n};
}

/// Records a step's statements and passes roles to `act`.
template <class Act>
void record(const Program& program, int step, const Model& model, Vars& vars, const Act& act) {
  vars.assign(program.values.size(), Var());
  const Recording recording{.step = step,
                            .parameter_of = [&](const Statement& s) { return model.of(s); }};
  Vars in;
  for (const Statement& s : program.statements) {
    if (is_role(s)) {
      act(s);
      continue;
    }
    in.clear();
    for (const int value : s.in) in.push_back(vars[static_cast<size_t>(value)]);
    const Vars made = s.kind->apply(s, in, recording);
    for (size_t i = 0; i < s.out.size(); ++i) vars[static_cast<size_t>(s.out[i])] = made[i];
  }
}

/// Returns true if the statement is an optimizer step that must fail.
bool has_to_fail(const Statement& s, int step) { return s.kind->name == "step" && s.p[1] == step; }

struct AnyTape {
  AnyTape(const Program& program, int step) {
    if (program.training) {
      tape.emplace(Training{Key{program.seed}.fold(static_cast<uint64_t>(step))});
    } else {
      tape.emplace();
    }
  }
  std::optional<Tape> tape;
};

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.size() == 0 ||
         std::memcmp(a.bytes(), b.bytes(), static_cast<size_t>(a.size() * size_of(a.dtype()))) == 0;
}

template <class T>
int64_t first_difference(const Tensor& a, const Tensor& b) {
  const auto x = a.data<T>(), y = b.data<T>();
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::memcmp(&x[i], &y[i], sizeof(T)) == 0) continue;
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    }
    return static_cast<int64_t>(i);
  }
  return -1;
}

int64_t first_difference(const Tensor& a, const Tensor& b) {
  if (same_bytes(a, b)) return -1;
  switch (a.dtype()) {
    case DType::float32:
      return first_difference<float>(a, b);
    case DType::float64:
      return first_difference<double>(a, b);
    case DType::int32:
      return first_difference<int32_t>(a, b);
    case DType::boolean:
      break;
  }
  return first_difference<bool>(a, b);
}

/// Returned tensors, with copies of their original contents.
class HandedOut {
 public:
  Tensor add(std::string name, const Tensor& tensor) {
    Tensor copy = tensor.clone();
    held_.push_back({std::move(name), tensor, copy});
    return copy;
  }
  /// Returns the name of a tensor that has changed since; empty: none.
  std::string changed() const {
    for (const Held& h : held_) {
      if (!same_bytes(h.tensor.clone(), h.copy)) return h.name;
    }
    return {};
  }

 private:
  struct Held {
    std::string name;
    Tensor tensor, copy;
  };
  std::vector<Held> held_;
};

/// Returns a loss on a new tape whose gradients are the oracle's, for a step of the optimizer.
Var loss_with_gradients(const std::vector<Parameter>& parameters, std::span<const Tensor> grads,
                        const Tensor& loss) {
  Var total = as_var(loss);
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Var product = sum(as_var(parameters[i]) * as_var(grads[i]));
    total = total + (product.dtype() == total.dtype() ? product : cast(product, total.dtype()));
  }
  return total;
}

}  // namespace

std::vector<Tensor> oracle(std::span<const Var> targets) {
  if (targets.empty()) return {};
  Executor& executor = reference_executor();
  const Executor::Use use(executor);
  executor.run(targets);
  std::vector<Tensor> values;
  for (const Var& target : targets) values.push_back(target.value().clone());
  return values;
}

Outcome run(const Program& program, Executor& executor, Touched* touched) {
  Outcome out;
  const Executor::Use use(executor);
  HandedOut handed;
  try {
    Model model(program);
    Vars vars;
    for (int step = 0; step < program.steps; ++step) {
      const AnyTape tape(program, step);
      const auto var = [&](int value) { return vars[static_cast<size_t>(value)]; };
      const auto note = [&](int value) {
        const std::string name = value_name(step, value);
        out.values.emplace_back(name, handed.add(name, var(value).value()));
      };
      model.prepare(step, program.optimizer);
      record(program, step, model, vars, [&](const Statement& s) {
        if (s.kind->name == "look") {
          Vars wanted;
          for (const int value : s.in) wanted.push_back(var(value));
          if (s.p[0] == 2) std::reverse(wanted.begin(), wanted.end());
          if (s.p[0] != 0) executor.run(wanted);
          for (const int value : s.in) note(value);
          return;
        }
        if (model.optimizer() == nullptr) return;
        const Losses losses = losses_of(s, step);
        Vars also;
        for (size_t i = losses.also; i < s.in.size(); ++i) also.push_back(var(s.in[i]));
        if (has_to_fail(s, step)) {
          bool failed = false;
          try {
            model.optimizer()->step(var(losses.loss), also);
          } catch (const Error&) {
            failed = true;
          }
          out.values.emplace_back("failed", full({}, failed ? 1 : 0));
          model.after_step(out);
          return;
        }
        if (s.kind->name == "accumulate") {
          model.optimizer()->accumulate(var(losses.loss), also);
        } else {
          const bool taken = model.optimizer()->step(var(losses.loss), also);
          out.values.emplace_back("taken", full({}, taken ? 1 : 0));
        }
        note(losses.loss);
        for (size_t i = losses.also; i < s.in.size(); ++i) note(s.in[i]);
        if (s.kind->name == "step") model.after_step(out);
      });
      if (touched != nullptr) {
        for (const Node& node : tape.tape->graph().nodes) {
          if (node.op != nullptr) ++(*touched)[std::string(node.op->name)];
        }
      }
      if (out.overwritten.empty()) out.overwritten = handed.changed();
    }
  } catch (const std::exception& error) {
    out.error = error.what();
  }
  return out;
}

Outcome expected(const Program& program) {
  Outcome out;
  const Executor::Use use(reference_executor());
  try {
    Model model(program);
    Vars vars;
    for (int step = 0; step < program.steps; ++step) {
      // All requested values are computed at once, before any parameter changes. A value must not
      // depend on the time of its request.
      struct Event {
        const Statement* statement;
        std::vector<int> asked;
        size_t first_gradient;
      };
      std::vector<Event> events;
      std::vector<Tensor> values;
      model.prepare(step, program.optimizer);
      const std::vector<Parameter> parameters = model.trainable();
      std::map<int, size_t> place;
      {
        const AnyTape tape(program, step);
        record(program, step, model, vars, [&](const Statement& s) {
          Event event{&s, s.in, 0};
          if (s.kind->name != "look") {
            if (model.optimizer() == nullptr) return;
            const Losses losses = losses_of(s, step);
            if (has_to_fail(s, step)) {
              events.push_back(std::move(event));
              events.back().asked.clear();
              return;
            }
            event.asked = {losses.loss};
            event.asked.insert(event.asked.end(),
                               s.in.begin() + static_cast<std::ptrdiff_t>(losses.also), s.in.end());
          }
          events.push_back(std::move(event));
        });
        Vars wanted;
        for (Event& event : events) {
          for (const int value : event.asked) {
            if (place.emplace(value, wanted.size()).second) {
              wanted.push_back(vars[static_cast<size_t>(value)]);
            }
          }
          if (event.statement->kind->name == "look" || event.asked.empty()) continue;
          event.first_gradient = wanted.size();
          const Var loss = vars[static_cast<size_t>(event.asked[0])];
          for (const Var& g : grad(loss, parameters)) wanted.push_back(g);
        }
        values = oracle(wanted);
      }
      for (const Event& event : events) {
        const bool is_step = event.statement->kind->name == "step";
        if (is_step && event.asked.empty()) {
          out.values.emplace_back("failed", full({}, 1));
        } else if (event.statement->kind->name != "look") {
          const Tape tape;
          const Var loss = loss_with_gradients(
              parameters, std::span(values).subspan(event.first_gradient, parameters.size()),
              values[place.at(event.asked[0])]);
          if (is_step) {
            const bool taken = model.optimizer()->step(loss);
            out.values.emplace_back("taken", full({}, taken ? 1 : 0));
          } else {
            model.optimizer()->accumulate(loss);
          }
        }
        for (const int value : event.asked) {
          out.values.emplace_back(value_name(step, value), values[place.at(value)]);
        }
        if (is_step) model.after_step(out);
      }
    }
  } catch (const std::exception& error) {
    out.error = error.what();
  }
  return out;
}

/// Returns true if a program ended at a step whose loss depends on no parameter. The optimizer
/// refuses such a step, and the values computed before it count.
bool is_refused(const Outcome& given) {
  return given.error.find("depends on none of the optimizer's") != std::string::npos;
}

std::optional<std::string> difference(const Outcome& given, const Outcome& right) {
  if (!right.error.empty()) return "the oracle throws: " + right.error;
  const bool refused = is_refused(given);
  if (!given.error.empty() && !refused) return "throws: " + given.error;
  if (!given.overwritten.empty()) return "handed out and changed later: " + given.overwritten;
  const size_t count = refused ? given.values.size() : right.values.size();
  for (size_t i = 0; i < count; ++i) {
    const auto& [name, want] = right.values[i];
    const Tensor& got = given.values.at(i).second;
    if (got.shape() != want.shape() || got.dtype() != want.dtype()) return name + ": another shape";
    const int64_t at = first_difference(got, want);
    if (at < 0) continue;
    return fmt::format("{} {}: element {} is {:.9g}, right is {:.9g}", name,
                       to_string(want.shape()), at,
                       got.to_vector<double>()[static_cast<size_t>(at)],
                       want.to_vector<double>()[static_cast<size_t>(at)]);
  }
  return {};
}

std::optional<std::string> check(const Program& program, Touched* touched) {
  static Executor one({.threads = 1, .parallel_from = 0, .plan_capacity = 32, .check_plans = true});
  static Executor two({.threads = 2, .parallel_from = 0, .plan_capacity = 32, .check_plans = true});
  static Executor three(
      {.threads = 3, .parallel_from = 0, .plan_capacity = 32, .check_plans = true});
  const Outcome right = expected(program);
  int threads = 1;
  for (Executor* executor : {&one, &two, &three}) {
    const auto wrong = difference(run(program, *executor, threads == 1 ? touched : nullptr), right);
    if (wrong) return fmt::format("on {} threads: {}", threads, *wrong);
    ++threads;
  }
  return {};
}

}  // namespace rapt::programs
