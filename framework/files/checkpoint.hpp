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

namespace rapt {
inline namespace v0 RAPT_API {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

struct Checkpoint {
  NamedTensors tensors;                         ///< in the order of the file's data
  std::map<std::string, std::string> metadata;  ///< free text

  /// Returns the tensor of that name. Throws Error if there is none.
  const Tensor& operator[](const std::string& name) const;
};

/// Writes a file in the format of github.com/huggingface/safetensors. The file appears under its
/// name only when it is complete and on the disk. After a crash, either the old file or the new one
/// is there. The new file has the old one's mode. A symbolic link stays, and its target is
/// replaced. A pipe or a device is written to directly. Throws Error if a name occurs twice or is
/// "__metadata__", a text is not UTF-8, or writing fails.
void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata = {});

/// Reads a safetensors file. F32, F64, I32 and BOOL keep their types. F16 and BF16 become float32,
/// exactly; I64, I16, I8, U64, U32, U16 and U8 become int32. Throws Error for an unreadable file,
/// any violation of the format, other types (F8_E4M3), and a number that int32 cannot hold. The
/// message recognises other kinds of files: a Git LFS pointer, a PyTorch checkpoint. Allocates at
/// most a small multiple of the file's size.
Checkpoint load_safetensors(const std::string& path);

/// Copies saved arrays into the arrays of the same names in `own`, and ignores other names. Throws
/// Error with a list of arrays that are missing or have another shape or type; nothing has been
/// copied then.
void restore(const NamedTensors& own, const NamedTensors& saved);

/// Returns the parameters' names and values, which share memory with the parameters. Throws Error
/// for a parameter without a name, and if two have the same name. parameters(model) names each
/// parameter by its path.
NamedTensors named(const std::vector<Parameter>& parameters);

/// Writes the parameters under their names. Throws Error as named() and save_safetensors() do.
void save_parameters(const std::string& path, const std::vector<Parameter>& parameters,
                     const std::map<std::string, std::string>& metadata = {});

/// Sets parameters from saved arrays of the same names, and ignores other names. Throws Error as
/// restore() does.
void set_parameters(const std::vector<Parameter>& parameters, const NamedTensors& saved);

/// Reads a file of save_parameters(). Throws Error with a list of names that are missing, unknown,
/// or have another shape or type; nothing has been set then.
void load_parameters(const std::string& path, const std::vector<Parameter>& parameters);

}  // namespace v0
}  // namespace rapt
