// Optimizers. step(loss) records the gradients, their clipping and the update of every parameter on
// the loss's tape, and runs them together with the loss as one plan.
//
//   Adam adam(parameters(model), {.lr = 3e-4, .clip_norm = 1});
//   for (...) {
//     Tape tape;
//     Var loss = ...;
//     adam.lr(rate(adam.steps()));   // a schedule, see optim/schedule.hpp
//     adam.step(loss);
//     print(loss.item(), adam.last_norm());   // already computed
//   }
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/recycled.hpp"
#include "framework/files/checkpoint.hpp"
#include "framework/graph/op.hpp"
#include "framework/graph/parameter.hpp"

namespace rapt RAPT_API {

/// Parameters that an optimizer treats alike.
struct ParameterGroup {
  std::vector<Parameter> parameters;
  double lr_factor = 1;     // their learning rate is this times the optimizer's
  double decay_factor = 1;  // and their weight decay
};

/// The same parameters in two groups: weight decay for matrices and larger arrays, none for vectors
/// and scalars, which are biases and the gains of norms.
std::vector<ParameterGroup> decay_matrices_only(const std::vector<Parameter>& parameters);

/// What every optimizer does. Parameters that are not trainable when a step is taken are left
/// alone, and what accumulate() gathered for them before is forgotten. One that the loss does not
/// depend on has a gradient of zeros, and is treated as any other: its moments decay, its weight
/// decay acts. Where two groups list parameters under one name, as parts of a model do, state() has
/// the group's number before it: "optimizer/0/query/weight".
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update along the gradients of `loss` (and those that accumulate() gathered before).
  /// Computes the values of `loss` and of `also` in the same run, with the parameters as they were
  /// before the update. Throws Error as grad() and the executor do; the step then was not taken.
  /// So it does where no gradient reaches any of the parameters that it has to update. Steps also
  /// look for members that a visit() has left out, until one finds none: it throws Error where a
  /// trainable parameter takes part in the loss that no parameters() list names and no optimizer
  /// has, if all of this one's parameters have names. Nor is it, and false returned, where
  /// clip_norm is on and the loss or the norm of the gradients is not finite: parameters and state
  /// stay as they were, last_norm() says what the norm was, and what accumulate() gathered is
  /// forgotten.
  bool step(const Var& loss, std::span<const Var> also = {},
            SourceLocation where = SourceLocation::current());
  bool step(const Var& loss, std::initializer_list<Var> also,
            SourceLocation where = SourceLocation::current()) {
    return step(loss, std::span(also.begin(), also.size()), where);
  }

  /// Adds the gradients of `loss` to what the next step uses: n - 1 calls of accumulate(loss / n)
  /// and one step(loss / n), each on a part of a batch, are one step on all of it. Throws Error as
  /// step() does.
  void accumulate(const Var& loss, std::span<const Var> also = {},
                  SourceLocation where = SourceLocation::current());
  void accumulate(const Var& loss, std::initializer_list<Var> also,
                  SourceLocation where = SourceLocation::current()) {
    accumulate(loss, std::span(also.begin(), also.size()), where);
  }

  double lr() const { return lr_; }
  /// From the next step on. Costs nothing: no plan depends on it. Throws Error for a rate that is
  /// negative or not finite.
  void lr(double lr, SourceLocation where = SourceLocation::current());
  /// Updates made so far.
  int64_t steps() const { return steps_; }
  /// The norm of all gradients in the last step, before clipping; 0 where clip_norm is off. With a
  /// clip_norm of infinity it is measured and not limited.
  double last_norm() const { return last_norm_; }

  /// What a resumed run needs beside the parameters, by name: "optimizer/decoder/weight/mean". The
  /// arrays are the optimizer's own memory. What accumulate() has gathered is no part of it.
  NamedTensors state() const;
  /// Takes over a saved state; names that are not its own are passed over. Throws Error where one
  /// is missing, or has another shape or type; then nothing has changed.
  void load(const NamedTensors& state);

 protected:
  /// `slots` names the arrays kept per parameter. Throws Error for a parameter without a value, not
  /// of floats, or given twice, for two of one name in a group, for a rate or a factor that is
  /// negative or not finite, and for a negative clip_norm.
  Optimizer(std::vector<ParameterGroup> groups, double lr, double clip_norm,
            std::vector<std::string> slots);

  /// The update: its inputs are the parameter, the slots, the gradient, numbers() and, with
  /// clipping, the gradient's factor. It writes to the parameter and the slots.
  virtual StaticOp update() const = 0;
  /// What the update has to know of step t (from 1), as float64.
  virtual Tensor numbers(double lr, double decay_factor, int64_t t) const = 0;

 private:
  struct Entry {
    Parameter parameter;
    size_t group;
    std::string name;
    std::vector<Tensor> slots;
    int64_t steps = 0;  // own updates: a parameter may have been frozen for a while
    Tensor gathered;    // the gradient so far, once accumulate() was called
    bool pending = false;
  };

  Recycled<Entry*> trainable();
  Recycled<Var> gradients(const char* who, const Var& loss, std::span<Entry* const> entries,
                          SourceLocation where);
  void gather(const Var& loss, std::span<const Var> also, SourceLocation where);
  bool take_step(const Var& loss, std::span<const Var> also, SourceLocation where);
  ErrorParts memory_short(const char* who, SourceLocation where) const;
  void name_apart();
  void look_for_forgotten(const Var& loss, SourceLocation where) const;

  std::vector<ParameterGroup> groups_;
  std::vector<Entry> entries_;
  std::vector<std::string> slots_;
  double lr_, clip_norm_, last_norm_ = 0;
  int64_t steps_ = 0;
  bool looked_ = false;  // for forgotten parameters
};

struct SgdOptions {
  double lr = 1e-3;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
  double clip_norm = 0;  // the most that the norm of all gradients may be; 0: off
};

/// Stochastic gradient descent as torch.optim.SGD: g += weight_decay p, u = momentum u + g,
/// p -= lr u; with Nesterov's momentum (Sutskever et al. 2013) p -= lr (g + momentum u).
class Sgd : public Optimizer {
 public:
  explicit Sgd(std::vector<Parameter> parameters, const SgdOptions& options = {})
      : Sgd(std::vector<ParameterGroup>{{std::move(parameters)}}, options) {}
  explicit Sgd(std::vector<ParameterGroup> groups, const SgdOptions& options = {});

 private:
  StaticOp update() const override;
  Tensor numbers(double lr, double decay_factor, int64_t t) const override;

  SgdOptions options_;
};

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;
  double clip_norm = 0;  // the most that the norm of all gradients may be; 0: off
};

/// Adam (Kingma and Ba 2015, algorithm 1), as torch.optim.Adam: weight decay is L2 regularisation,
/// added to the gradient.
class Adam : public Optimizer {
 public:
  explicit Adam(std::vector<Parameter> parameters, const AdamOptions& options = {})
      : Adam(std::vector<ParameterGroup>{{std::move(parameters)}}, options) {}
  explicit Adam(std::vector<ParameterGroup> groups, const AdamOptions& options = {})
      : Adam(std::move(groups), options, false) {}

 protected:
  Adam(std::vector<ParameterGroup> groups, const AdamOptions& options, bool decoupled);

 private:
  StaticOp update() const override;
  Tensor numbers(double lr, double decay_factor, int64_t t) const override;

  AdamOptions options_;
  bool decoupled_;
};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), as
/// torch.optim.AdamW: p shrinks by the factor 1 - lr weight_decay before the update. Without a
/// weight_decay it is Adam.
class AdamW : public Adam {
 public:
  explicit AdamW(std::vector<Parameter> parameters, const AdamOptions& options = {})
      : AdamW(std::vector<ParameterGroup>{{std::move(parameters)}}, options) {}
  explicit AdamW(std::vector<ParameterGroup> groups, const AdamOptions& options = {})
      : Adam(std::move(groups), options, true) {}
};

}  // namespace rapt
