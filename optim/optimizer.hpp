// Optimizers. step(loss) records the gradients, their clipping and the update of every parameter on
// the tape of the loss. It runs them together with the loss as one plan.
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

namespace rapt {
inline namespace v0 RAPT_API {

/// Parameters that an optimizer treats alike.
struct ParameterGroup {
  std::vector<Parameter> parameters;
  double lr_factor = 1;     ///< multiplies the optimizer's learning rate
  double decay_factor = 1;  ///< multiplies the optimizer's weight decay
};

/// Splits parameters into two groups. Matrices and larger arrays have weight decay. Vectors and
/// scalars (biases and gains of norms) have none.
std::vector<ParameterGroup> decay_matrices_only(const std::vector<Parameter>& parameters);

/// The common part of all optimizers. A step skips parameters that are not trainable at that time
/// and discards their accumulated gradients. A parameter on which the loss does not depend has a
/// gradient of zeros and is updated like any other: its moments and its weight decay take effect.
/// Groups may list different parameters under the same name, as parts of a model do. In that case
/// state() inserts the group's number: "optimizer/0/query/weight".
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates the parameters once, along the gradients of `loss` plus those that accumulate()
  /// gathered. Computes `loss` and `also` in the same run, with the parameters from before the
  /// update. Returns true if the step was taken.
  ///
  /// Returns false if clip_norm is on and the loss or the norm of the gradients is not finite.
  /// Parameters and state are then unchanged, last_norm() returns the norm, and accumulated
  /// gradients are discarded.
  ///
  /// Throws Error in the same cases as grad() and the executor, and if no gradient reaches any of
  /// the parameters that it has to update. The step is then not taken.
  ///
  /// The first steps also search for members that a visit() has left out, until one step finds
  /// none. They throw Error if the loss depends on a trainable parameter that no parameters() list
  /// names and no optimizer has. The search needs names for all parameters of this optimizer.
  bool step(const Var& loss, std::span<const Var> also = {},
            SourceLocation where = SourceLocation::current());
  bool step(const Var& loss, std::initializer_list<Var> also,
            SourceLocation where = SourceLocation::current()) {
    return step(loss, std::span(also.begin(), also.size()), where);
  }

  /// Adds the gradients of `loss` to those that the next step uses. n - 1 calls of accumulate(loss
  /// / n) and one step(loss / n), each on a part of a batch, equal one step on the whole batch.
  /// Throws Error as step() does.
  void accumulate(const Var& loss, std::span<const Var> also = {},
                  SourceLocation where = SourceLocation::current());
  void accumulate(const Var& loss, std::initializer_list<Var> also,
                  SourceLocation where = SourceLocation::current()) {
    accumulate(loss, std::span(also.begin(), also.size()), where);
  }

  double lr() const { return lr_; }
  /// Sets the learning rate from the next step on. Needs no new plan. Throws Error for a rate that
  /// is negative or not finite.
  void lr(double lr, SourceLocation where = SourceLocation::current());
  /// Returns the number of updates so far.
  int64_t steps() const { return steps_; }
  /// Returns the norm of all gradients in the last step before clipping, or 0 if clip_norm is off.
  /// A clip_norm of infinity measures the norm without limiting it.
  double last_norm() const { return last_norm_; }

  /// Returns what a resumed run needs beside the parameters, by name:
  /// "optimizer/decoder/weight/mean". The arrays share memory with the optimizer. Accumulated
  /// gradients are not included.
  NamedTensors state() const;
  /// Loads a saved state and ignores other names. Throws Error if an array is missing or has
  /// another shape or type; nothing has changed then.
  void load(const NamedTensors& state);

 protected:
  /// `slots` names the arrays that are kept per parameter. Throws Error for a parameter that has no
  /// value, does not hold floats, or is given twice. Throws Error for two parameters of the same
  /// name in a group, for a rate or factor that is negative or not finite, and for a negative
  /// clip_norm.
  Optimizer(std::vector<ParameterGroup> groups, double lr, double clip_norm,
            std::vector<std::string> slots);

  /// Returns the operator of the update. Its inputs are the parameter, the slots, the gradient,
  /// numbers() and, with clipping, the gradient's factor. It writes to the parameter and the slots.
  virtual StaticOp update() const = 0;
  /// Returns the scalars that the update needs in step t (from 1), as float64.
  virtual Tensor numbers(double lr, double decay_factor, int64_t t) const = 0;

 private:
  struct Entry {
    Parameter parameter;
    size_t group;
    std::string name;
    std::vector<Tensor> slots;
    int64_t steps = 0;  ///< its own updates; a parameter may have been frozen for a while
    Tensor gathered;    ///< the accumulated gradient, after a call of accumulate()
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
  bool looked_ = false;  ///< true once the search for forgotten parameters has ended
};

struct SgdOptions {
  double lr = 1e-3;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
  double clip_norm = 0;  ///< maximum norm of all gradients together; 0: off
};

/// Stochastic gradient descent, as torch.optim.SGD: g += weight_decay p, u = momentum u + g, p -=
/// lr u. With Nesterov's momentum (Sutskever et al. 2013), p -= lr (g + momentum u).
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
  double clip_norm = 0;  ///< maximum norm of all gradients together; 0: off
};

/// Adam (Kingma and Ba 2015, algorithm 1), as torch.optim.Adam. Weight decay is L2 regularisation,
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
/// torch.optim.AdamW. p is multiplied by 1 - lr weight_decay before the update. Without
/// weight_decay it equals Adam.
class AdamW : public Adam {
 public:
  explicit AdamW(std::vector<Parameter> parameters, const AdamOptions& options = {})
      : AdamW(std::vector<ParameterGroup>{{std::move(parameters)}}, options) {}
  explicit AdamW(std::vector<ParameterGroup> groups, const AdamOptions& options = {})
      : Adam(std::move(groups), options, true) {}
};

}  // namespace v0
}  // namespace rapt
