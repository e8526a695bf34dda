// Files of trained models: parameters, and metadata that say what model they belong to.
//
//   save_model("run/model.safetensors", "my model 1", parameters(net), described(options));
//   ...
//   const ModelFile file("run/model.safetensors");
//   file.expect_kind({"my model 1"});
//   file.read(options);
//   Net net(options, Key{});
//   file.restore(parameters(net));
//
// docs/formats.md describes the format.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "framework/files/checkpoint.hpp"
#include "tasks/model_files/fields.hpp"

namespace rapt::tasks {

/// The version of the format that is written. Version 1 had no digests.
inline constexpr std::int64_t model_format = 2;

/// Writes a model. The metadata get two entries more: "kind" and "format". Throws Error as
/// save_safetensors() does.
void save_model(const std::string& path, const std::string& kind,
                const std::vector<Parameter>& parameters, Metadata entries);

/// A model's file, read and checked against its own metadata.
class ModelFile {
 public:
  /// Reads a file. Throws Error if it is no safetensors file, or of a later format.
  explicit ModelFile(std::string path);

  const std::string& path() const { return path_; }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  /// Returns an entry of the metadata; empty if there is none.
  std::string text(const std::string& name) const;
  std::string kind() const { return text("kind"); }
  /// The version of the format that the file was written in.
  std::int64_t format() const { return format_; }
  /// Returns how many numbers the tensors hold.
  double numbers() const { return numbers_; }

  /// Throws Error if the kind is none of these.
  void expect_kind(std::initializer_list<std::string_view> kinds) const;
  /// Reads options by their function fields(). Throws Error for a missing or malformed entry.
  template <class Options>
  void read(Options& options) const {
    FieldReader reader(path_, checkpoint_.metadata);
    fields(reader, options);
  }
  /// Checks metadata before a model is made of them. `least` is a lower bound of the numbers that
  /// the model's parameters hold. `tables` is the numbers of tables that are not saved, such as
  /// sinusoids. Throws Error if that is more than the tensors hold, or out of all proportion.
  void expect_numbers(double least, double tables = 0) const;
  /// Throws Error if the entry `name` is the digest of another file than the one at `other`. A file
  /// of format 1 has no digests, and passes.
  void expect_digest(const std::string& name, const std::string& other) const;
  /// Sets parameters. Throws Error as load_parameters() does.
  void restore(const std::vector<Parameter>& parameters) const;

 private:
  std::string path_;
  Checkpoint checkpoint_;
  std::int64_t format_ = 1;
  double numbers_ = 0;
};

/// Returns a fingerprint of a file's bytes as 16 hexadecimal digits: FNV-1a of 64 bits. It tells
/// files apart, but is no protection against somebody who wants to deceive. Throws Error if the
/// file cannot be read.
std::string digest_of_file(const std::string& path);

/// Returns what a model file is and how it was trained, as text for people. `options` is the text
/// of printed(). Training is described by the file training.json beside it, if there is one.
std::string model_info(const ModelFile& file, const std::string& options);

}  // namespace rapt::tasks
