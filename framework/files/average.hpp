// The mean of several checkpoints of one training run. It often performs better than the last
// checkpoint (Junczys-Dowmunt et al. 2016; Izmailov et al. 2018).
#pragma once

#include <string>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/files/checkpoint.hpp"

namespace rapt {
inline namespace v0 RAPT_API {

/// Returns the element-wise mean of arrays with the same names, in the order of the first set.
/// Computes in double precision. Arrays of integers or booleans are taken from the last set. Throws
/// Error if there are no sets, if their names differ, and if shapes or types differ.
NamedTensors mean_of(const std::vector<NamedTensors>& sets);

/// Returns the mean of safetensors files, which are read one after the other. The metadata are
/// those of the last file. Throws Error, naming the file, in the cases of mean_of() and
/// load_safetensors().
Checkpoint average_checkpoints(const std::vector<std::string>& paths);

}  // namespace v0
}  // namespace rapt
