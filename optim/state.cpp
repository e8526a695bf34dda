#include <fmt/format.h>

#include <rapt/framework/error.hpp>
#include <rapt/optim/state.hpp>
#include <unordered_map>

namespace rapt {

void restore(const std::vector<std::pair<std::string, Tensor>>& own,
             const std::vector<std::pair<std::string, Tensor>>& saved, const std::string& what) {
  std::unordered_map<std::string, const Tensor*> by_name;
  for (const auto& [name, tensor] : saved) by_name.emplace(name, &tensor);
  std::vector<const Tensor*> found;
  for (const auto& [name, tensor] : own) {
    const auto it = by_name.find(name);
    if (it == by_name.end()) throw Error(fmt::format("{}: the state has no {}", what, name));
    const Tensor& other = *it->second;
    if (other.shape() != tensor.shape() || other.dtype() != tensor.dtype()) {
      throw Error(fmt::format("{}: {} is {} {}, the state has {} {}", what, name,
                              rapt::name(tensor.dtype()), to_string(tensor.shape()),
                              rapt::name(other.dtype()), to_string(other.shape())));
    }
    found.push_back(&other);
  }
  for (size_t i = 0; i < own.size(); ++i) own[i].second.copy_from(*found[i]);
}

}  // namespace rapt
