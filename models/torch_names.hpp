// Parameters of models that were trained with PyTorch.
#pragma once

#include <string>

#include "framework/core/api.hpp"
#include "framework/files/checkpoint.hpp"

namespace rapt RAPT_API {

/// The name that a parameter of PyTorch's own modules has here: of nn.Transformer and its layers,
/// nn.MultiheadAttention, nn.GRU, nn.LSTM, nn.Linear, nn.Embedding and nn.LayerNorm, also as
/// members of others: "encoder.layers.0.self_attn.in_proj_weight" is
/// "encoder/0/self_attention/in_proj/weight". The table is in docs/parameters.md; layouts agree.
std::string name_from_torch(const std::string& name);

/// A state_dict saved as a safetensors file, for set_parameters():
///
///   set_parameters(parameters(model), from_torch(load_safetensors("state.safetensors").tensors));
NamedTensors from_torch(const NamedTensors& state);

}  // namespace rapt
