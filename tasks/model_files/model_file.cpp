#include "tasks/model_files/model_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "framework/core/error.hpp"

namespace rapt::tasks {
namespace {

using json = nlohmann::ordered_json;

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw FileError(fmt::format("{}: cannot be read", path));
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Returns lines about a training run, or nothing if they cannot be told.
std::string training_of(const std::string& folder) {
  std::string text;
  try {
    const json run = json::parse(bytes_of(folder + "/training.json"));
    text += fmt::format("trained by {} of rapt {}: epoch {}, step {}, {:.1f} minutes\n",
                        run.at("program").get<std::string>(), run.at("rapt").get<std::string>(),
                        run.at("epoch").get<std::int64_t>(), run.at("step").get<std::int64_t>(),
                        run.at("seconds").get<double>() / 60);
    for (const auto& [name, value] : run.at("scores").items()) {
      text += fmt::format("  {:<20} {}\n", "dev " + name, value.get<double>());
    }
    for (const auto& [name, value] : run.at("options").items()) {
      text += fmt::format("  {:<20} {}\n", name, value.get<std::string>());
    }
  } catch (const std::exception&) {
    return "how it was trained is not known: there is no training.json of a run beside it\n";
  }
  return text;
}

}  // namespace

void save_model(const std::string& path, const std::string& kind,
                const std::vector<Parameter>& parameters, Metadata entries) {
  entries["kind"] = kind;
  entries["format"] = std::to_string(model_format);
  save_parameters(path, parameters, entries);
}

ModelFile::ModelFile(std::string path)
    : path_(std::move(path)), checkpoint_(load_safetensors(path_)) {
  for (const auto& [name, tensor] : checkpoint_.tensors) {
    numbers_ += static_cast<double>(tensor.shape().size());
  }
  const std::string format = text("format");
  if (format.empty()) return;
  const auto [end, error] = std::from_chars(format.data(), format.data() + format.size(), format_);
  if (error != std::errc() || end != format.data() + format.size() || format_ < 1) {
    throw FileError(fmt::format("{}: the entry 'format' of its metadata is no number", path_));
  }
  if (format_ > model_format) {
    throw FileError(fmt::format("{}: is of format {}; this rapt reads up to format {}", path_,
                                format_, model_format));
  }
}

std::string ModelFile::text(const std::string& name) const {
  const auto found = checkpoint_.metadata.find(name);
  return found == checkpoint_.metadata.end() ? std::string() : found->second;
}

void ModelFile::expect_kind(std::initializer_list<std::string_view> kinds) const {
  if (std::find(kinds.begin(), kinds.end(), kind()) != kinds.end()) return;
  throw FileError(fmt::format("{}: is no model of this kind: it is '{}', expected '{}'", path_,
                              kind(), fmt::join(kinds, "' or '")));
}

void ModelFile::expect_numbers(double least, double tables) const {
  if (least > numbers_) {
    throw FileError(
        fmt::format("{}: its metadata ask for a model of at least {:.4g} numbers, its"
                    " tensors hold {:.4g}",
                    path_, least, numbers_));
  }
  // Tables follow from a size that no tensor shows. They may be larger than a small model.
  if (tables > (1 << 24) + 16 * numbers_) {
    throw FileError(
        fmt::format("{}: its metadata ask for tables of {:.4g} numbers, beside tensors"
                    " that hold {:.4g}",
                    path_, tables, numbers_));
  }
}

void ModelFile::expect_digest(const std::string& name, const std::string& other) const {
  const std::string expected = text(name);
  if (format_ == 1 && expected.empty()) return;
  const std::string found = digest_of_file(other);
  if (found == expected) return;
  throw FileError(
      fmt::format("{}: {} is another file than the one that this model was saved with"
                  " (its digest is {}, expected {})",
                  path_, other, found, expected.empty() ? "none" : expected));
}

void ModelFile::restore(const std::vector<Parameter>& parameters) const {
  if (checkpoint_.tensors.size() != parameters.size()) {
    // Says which names are missing or unknown.
    load_parameters(path_, parameters);
    return;
  }
  try {
    set_parameters(parameters, checkpoint_.tensors);
  } catch (const Error& error) {
    throw FileError(fmt::format("{}: {}", path_, error.what()));
  }
}

std::string digest_of_file(const std::string& path) {
  std::uint64_t digest = 0xcbf29ce484222325u;
  for (const char byte : bytes_of(path)) {
    digest = (digest ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  }
  return fmt::format("{:016x}", digest);
}

std::string model_info(const ModelFile& file, const std::string& options) {
  return fmt::format("{}\n{}, format {}, {:.0f} parameters in {} tensors\n{}{}", file.path(),
                     file.kind(), file.format(), file.numbers(), file.checkpoint().tensors.size(),
                     options,
                     training_of(std::filesystem::path(file.path()).parent_path().string()));
}

}  // namespace rapt::tasks
