#include "framework/files/average.hpp"

#include <fmt/format.h>

#include <map>

#include "framework/core/error.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Accumulates the mean of sets that arrive one by one.
class RunningMean {
 public:
  /// Adds a set. `who` names it in messages.
  void add(const NamedTensors& set, const std::string& who) {
    if (count_++ == 0) {
      for (const auto& [name, tensor] : set) {
        names_.push_back(name);
        last_.push_back(tensor);
        sums_.push_back(is_float(tensor.dtype()) ? tensor.to(DType::float64) : Tensor());
      }
      return;
    }
    std::map<std::string, const Tensor*> by_name;
    for (const auto& [name, tensor] : set) by_name[name] = &tensor;
    for (size_t i = 0; i < names_.size(); ++i) {
      const auto found = by_name.find(names_[i]);
      if (found == by_name.end()) {
        throw Error({.op = "average", .detail = fmt::format("{} has no '{}'", who, names_[i])});
      }
      add(i, *found->second, who);
      by_name.erase(found);
    }
    if (!by_name.empty()) {
      throw Error({.op = "average",
                   .detail = fmt::format("{} has '{}', which the first has not", who,
                                         by_name.begin()->first)});
    }
  }

  NamedTensors mean() const {
    if (count_ == 0) throw Error({.op = "average", .detail = "there is nothing to average"});
    NamedTensors result;
    for (size_t i = 0; i < names_.size(); ++i) {
      Tensor value = last_[i];
      if (sums_[i]) {
        for (double& x : sums_[i].data<double>()) x /= count_;
        value = sums_[i].to(last_[i].dtype());
      }
      result.emplace_back(names_[i], value);
    }
    return result;
  }

 private:
  void add(size_t i, const Tensor& tensor, const std::string& who) {
    if (tensor.shape() != last_[i].shape() || tensor.dtype() != last_[i].dtype()) {
      throw Error({.kind = ErrorKind::shape,
                   .op = "average",
                   .detail = fmt::format("'{}' is {} {} in {}, and {} {} in the first", names_[i],
                                         name(tensor.dtype()), to_string(tensor.shape()), who,
                                         name(last_[i].dtype()), to_string(last_[i].shape()))});
    }
    last_[i] = tensor;
    if (!sums_[i]) return;
    const Tensor wide = tensor.to(DType::float64);
    const double* from = wide.data<double>().data();
    for (double& x : sums_[i].data<double>()) x += *from++;
  }

  double count_ = 0;
  std::vector<std::string> names_;
  std::vector<Tensor> last_, sums_;  // sums: for floats only
};

}  // namespace

NamedTensors mean_of(const std::vector<NamedTensors>& sets) {
  RunningMean mean;
  for (size_t i = 0; i < sets.size(); ++i) mean.add(sets[i], fmt::format("set {}", i + 1));
  return mean.mean();
}

Checkpoint average_checkpoints(const std::vector<std::string>& paths) {
  RunningMean mean;
  Checkpoint result;
  for (const std::string& path : paths) {
    Checkpoint one = load_safetensors(path);
    mean.add(one.tensors, path);
    result.metadata = std::move(one.metadata);
  }
  result.tensors = mean.mean();
  return result;
}

}  // namespace v0
}  // namespace rapt
