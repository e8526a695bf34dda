// The mean of several checkpoints of one training run, which is often better than its last
// (Junczys-Dowmunt et al. 2016; Izmailov et al. 2018).
#pragma once

#include <string>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/files/checkpoint.hpp"

namespace rapt RAPT_API {

/// The element-wise mean of arrays of the same names, computed in double precision, in the order of
/// the first set; arrays of integers or booleans are the last set's. Throws Error for no sets,
/// where a set lacks a name or has one more, and where shapes or types differ.
NamedTensors mean_of(const std::vector<NamedTensors>& sets);

/// The same of safetensors files, read one after the other; the metadata are the last one's. Throws
/// Error, naming the file, as mean_of() and load_safetensors() do.
Checkpoint average_checkpoints(const std::vector<std::string>& paths);

}  // namespace rapt
