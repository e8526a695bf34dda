// Saved arrays: files in the safetensors format, which NumPy, PyTorch and JAX read too.
//
//   NamedTensors all = named(parameters(model));
//   for (auto& entry : adam.state()) all.push_back(entry);
//   save_safetensors("run.safetensors", all, {{"step", "1000"}});
//   ...
//   const Checkpoint saved = load_safetensors("run.safetensors");
//   set_parameters(parameters(model), saved.tensors);
//   adam.load(saved.tensors);
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "framework/core/api.hpp"
#include "framework/graph/parameter.hpp"

namespace rapt RAPT_API {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

struct Checkpoint {
  NamedTensors tensors;                         // in the order of the file's data
  std::map<std::string, std::string> metadata;  // free text

  /// The tensor of that name. Throws Error where there is none.
  const Tensor& operator[](const std::string& name) const;
};

/// Writes a file in the format of github.com/huggingface/safetensors. The file appears under its
/// name only once it is complete and on the disk: whatever happens, there is the old one or the new
/// one. It keeps the old one's mode. A symbolic link stays, and what it leads to is replaced; a
/// pipe or a device is written to as it is. Throws Error where a name comes twice or is
/// "__metadata__", a text is not UTF-8, or writing fails.
void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

/// Reads such a file. F32, F64, I32 and BOOL stay what they are. F16 and BF16 become float32,
/// exactly; I64, I16, I8, U64, U32, U16 and U8 become int32. Throws Error for a file that cannot be
/// read or breaks the format in any way, for other types (F8_E4M3), and for a number that int32
/// cannot hold. Calls files of other kinds by their names: a Git LFS pointer, a PyTorch checkpoint.
/// Allocates no more than a small multiple of the file's size.
Checkpoint load_safetensors(const std::string& path);

/// Copies saved arrays into those of the same names in `own`; other names are passed over. Throws
/// Error listing what is missing, or has another shape or type; then nothing has been copied.
void restore(const NamedTensors& own, const NamedTensors& saved);

/// The parameters' names and values (their own memory). Throws Error for a parameter without a name
/// and where two have the same: parameters(model) gives each its path.
NamedTensors named(const std::vector<Parameter>& parameters);

/// Writes the parameters under their names. Throws Error as named() and save_safetensors() do.
void save_parameters(const std::string& path, const std::vector<Parameter>& parameters,
                     const std::map<std::string, std::string>& metadata = {});

/// Sets parameters from saved arrays of the same names; other names are passed over. Throws Error
/// as restore() does.
void set_parameters(const std::vector<Parameter>& parameters, const NamedTensors& saved);

/// Reads a file of save_parameters(). Throws Error listing the names that are missing, that the
/// parameters do not have, or that have another shape or type; then nothing has been set.
void load_parameters(const std::string& path, const std::vector<Parameter>& parameters);

}  // namespace rapt
