// Learned tensors, and the search for the parameters of a model.
//
// A model is a plain struct. It names its members in
//
//   void visit(auto&& f) { f("query", query); f("key", key); }
//
// A member is a Parameter, another such struct, or a vector or optional of these. Everything else
// follows from this: the list of parameters, the names in a saved file, the layer path of an error.
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/core/error.hpp"
#include "framework/core/tensor.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

class Arg;

struct ParameterState {
  Tensor value;
  /// The path in the largest model that was listed. Errors and layer paths use it.
  std::string name;
  bool trainable = true;  ///< false: optimizers skip it
  /// True if an optimizer has been made for it.
  bool optimized = false;
  /// Number of writes. It tells a tape that a recorded value has changed.
  uint64_t version = 0;
};

/// A handle on a learned tensor. Copies share the value.
class Parameter {
 public:
  Parameter() = default;
  /// Takes over a tensor's values. Uses the tensor's memory if it is contiguous and no other handle
  /// shares it; otherwise copies. Throws Error for an empty tensor.
  explicit Parameter(Tensor value) : state_(std::make_shared<ParameterState>()) {
    if (!value) throw Error({.op = "Parameter", .detail = "expected a tensor with memory"});
    const bool alone = value.is_contiguous() && value.memory().use_count() == 1;
    state_->value = alone ? std::move(value) : value.clone();
  }

  explicit operator bool() const { return state_ != nullptr; }
  /// Returns the parameter's own memory, which training steps write to. This function and those
  /// below throw Error if the handle is empty.
  const Tensor& value() const { return checked().value; }
  const Shape& shape() const { return checked().value.shape(); }
  /// Returns the path of the parameter in the model whose parameters() returned this handle:
  /// "decoder/attention/query/weight". Listing a part of the model does not change it. For any
  /// other handle, returns the path in the largest model that was listed, or "" if none was.
  const std::string& name() const { return listed_as_.empty() ? checked().name : listed_as_; }
  bool trainable() const { return checked().trainable; }
  void set_trainable(bool trainable) { checked().trainable = trainable; }
  /// Replaces the values. Throws Error if the shapes differ.
  void set(const Tensor& value) {
    checked().value.copy_from(value);
    ++state_->version;
  }
  const std::shared_ptr<ParameterState>& state() const { return state_; }
  /// Returns a handle on this parameter that carries the path under which a model lists it.
  Parameter listed_as(const std::string& path) const;

  /// Selects elements of the value by computed indices; see <rapt/ops/shape/index.hpp>.
  template <class Index = Arg>
  auto operator[](const std::type_identity_t<Index>& index) const {
    return index_array(*this, index);
  }

 private:
  ParameterState& checked() const {
    if (!state_) throw Error({.op = "Parameter", .detail = "a parameter without a value was used"});
    return *state_;
  }

  std::shared_ptr<ParameterState> state_;
  std::string listed_as_;
};

inline Parameter Parameter::listed_as(const std::string& path) const {
  Parameter handle = *this;
  handle.listed_as_ = path;
  // A list of a part has shorter paths. It must not replace the name from the whole model.
  std::string& name = checked().name;
  const auto depth = [](const std::string& p) { return std::count(p.begin(), p.end(), '/'); };
  if (name.empty() || depth(path) >= depth(name)) name = path;
  return handle;
}

template <class M>
concept Visitable = requires(M& model) {
  model.visit([](const char*, auto&) {});
};

/// Calls f(path, parameter) for every parameter of a model, in the order of its visit().
template <class M, class F>
void for_each_parameter(M& member, const std::string& path, F&& f) {
  const auto below = [&](const std::string& name) {
    return path.empty() ? name : path + "/" + name;
  };
  if constexpr (std::is_same_v<std::remove_const_t<M>, Parameter>) {
    if (member) f(path, member);
  } else if constexpr (Visitable<M>) {
    member.visit([&](const char* name, auto& child) { for_each_parameter(child, below(name), f); });
  } else if constexpr (requires { member.has_value(); }) {
    if (member.has_value()) for_each_parameter(*member, path, f);
  } else {
    static_assert(
        requires { member.begin(); },
        "a member that visit() names has to be a Parameter, a struct with visit(), or a "
        "vector or optional of these");
    size_t i = 0;
    for (auto& child : member) for_each_parameter(child, below(std::to_string(i++)), f);
  }
}

/// Returns the parameters of a model, each once, named by their paths in it. Throws Error if two
/// parameters have the same path.
template <class M>
std::vector<Parameter> parameters(M& model) {
  std::vector<Parameter> found;
  for_each_parameter(model, "", [&](const std::string& path, Parameter& parameter) {
    for (const Parameter& other : found) {
      if (other.state() == parameter.state()) return;  // shared: the first name stays
      if (other.name() == path) {
        throw Error({.op = "parameters", .detail = "two are named '" + path + "'"});
      }
    }
    found.push_back(parameter.listed_as(path));
  });
  return found;
}

/// Returns the total number of elements of the parameters.
inline int64_t count(const std::vector<Parameter>& parameters) {
  int64_t n = 0;
  for (const Parameter& parameter : parameters) n += parameter.value().size();
  return n;
}

namespace detail {

/// The first parameter of a layer, and its depth: the number of names in its path within the layer.
struct FirstParameter {
  const ParameterState* parameter = nullptr;
  int depth = 0;

  template <class M>
  void look(M& member, int at) {
    if (parameter != nullptr) return;
    if constexpr (std::is_same_v<std::remove_const_t<M>, Parameter>) {
      if (member) {
        parameter = member.state().get();
        depth = at;
      }
    } else if constexpr (Visitable<M>) {
      member.visit([&](const char*, auto& child) { look(child, at + 1); });
    } else if constexpr (requires { member.has_value(); }) {
      if (member.has_value()) look(*member, at);
    } else {
      for (auto& child : member) look(child, at + 1);
    }
  }
};

}  // namespace detail
}  // namespace v0
}  // namespace rapt
