// Loads parameters of models that were trained with PyTorch, and names parameters for it.
#pragma once

#include <string>

#include "framework/core/api.hpp"
#include "framework/files/checkpoint.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns the name that rapt gives to a parameter of a PyTorch module. It covers nn.Transformer
/// and its layers, nn.MultiheadAttention, nn.GRU, nn.LSTM, nn.Linear, nn.Embedding and
/// nn.LayerNorm. They may be members of other modules. Example:
/// "encoder.layers.0.self_attn.in_proj_weight" becomes "encoder/0/self_attention/in_proj/weight".
/// docs/parameters.md has the full table. The array layouts agree.
std::string name_from_torch(const std::string& name);

/// Renames the entries of a state_dict that was saved as a safetensors file. The result is input
/// for set_parameters():
///
///   set_parameters(parameters(model), from_torch(load_safetensors("state.safetensors").tensors));
NamedTensors from_torch(const NamedTensors& state);

/// Returns the name that PyTorch's modules give to a parameter: the inverse of name_from_torch().
/// Parts that PyTorch does not have keep their names, with dots.
std::string name_to_torch(const std::string& name);

/// Renames parameters for PyTorch's load_state_dict():
///
///   save_safetensors("state.safetensors", to_torch(named(parameters(model))));
///
/// The arrays are shared, not copied.
NamedTensors to_torch(const NamedTensors& parameters);

}  // namespace v0
}  // namespace rapt
