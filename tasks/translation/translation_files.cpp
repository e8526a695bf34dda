// Saves and loads translation models.
#include <fmt/format.h>

#include <filesystem>

#include "framework/core/error.hpp"
#include "tasks/model_files/model_file.hpp"
#include "tasks/text/tokenizer_fields.hpp"
#include "tasks/translation/translation.hpp"
#include "tasks/translation/translation_fields.hpp"

namespace rapt::tasks {
namespace {

constexpr std::string_view gru_kind = "rapt GruSeq2Seq 1", transformer_kind = "rapt Transformer 1";

/// Throws Error if a model of these options holds more than the file's tensors.
void check_size(const ModelFile& file, const Seq2SeqOptions& o) {
  const auto embed = static_cast<double>(o.embed), hidden = static_cast<double>(o.hidden),
             source = static_cast<double>(o.source_vocab),
             target = static_cast<double>(o.target_vocab), readout = static_cast<double>(o.readout),
             all = embed + 3 * hidden;
  file.expect_numbers(source * embed + target * embed + 6 * hidden * (embed + hidden) +
                      3 * hidden * (embed + 3 * hidden) +
                      (readout > 0 ? readout * (all + target) : all * target));
}

void check_size(const ModelFile& file, const TransformerOptions& o) {
  const auto width = static_cast<double>(o.width), inner = static_cast<double>(o.feed_forward),
             length = static_cast<double>(o.max_length),
             source = static_cast<double>(o.source_vocab),
             target = static_cast<double>(o.target_vocab);
  const double vocab = o.tying == Tying::none     ? source + 2 * target
                       : o.tying == Tying::output ? source + target
                                                  : target;
  const double positions = 2 * length * width;
  const bool held = o.positions == PositionKind::learned;
  file.expect_numbers(
      vocab * width + (held ? positions : 0) +
          static_cast<double>(o.encoder_layers) * (4 * width * width + 2 * width * inner) +
          static_cast<double>(o.decoder_layers) * (8 * width * width + 2 * width * inner),
      held ? 0 : positions);
}

/// Reads the options that a file describes.
NetOptions options_of(const ModelFile& file) {
  file.expect_kind({gru_kind, transformer_kind});
  const auto read = [&](auto options) -> NetOptions {
    file.read(options);
    check_size(file, options);
    return options;
  };
  return file.kind() == gru_kind ? read(Seq2SeqOptions{}) : read(TransformerOptions{});
}

TokenFields tokens_of(const ModelFile& file) {
  TokenFields tokens;
  // The oldest files have word models and lack these entries.
  if (!file.text("tokens").empty()) file.read(tokens);
  return tokens;
}

}  // namespace

void TranslationModel::save(const std::string& folder, const std::string& file) {
  std::filesystem::create_directories(folder);
  source.save(folder + "/source");
  target.save(folder + "/target");
  Metadata entries = std::visit(
      [&](const auto& o) {
        return described(o, TokenFields{source.kind(), source.lower()});
      },
      options);
  const auto digest = [&](const char* name, const Tokenizer& tokens) {
    return digest_of_file(Tokenizer::file_name(folder + name, tokens.kind()));
  };
  entries["source_digest"] = digest("/source", source);
  entries["target_digest"] = digest("/target", target);
  const bool gru = std::holds_alternative<Seq2SeqOptions>(options);
  save_model(folder + "/" + file, std::string(gru ? gru_kind : transformer_kind),
             parameters_of(net), std::move(entries));
}

TranslationModel TranslationModel::load(const std::string& folder, const std::string& name) {
  const ModelFile file(folder + "/" + name);
  const NetOptions options = options_of(file);
  const TokenFields tokens = tokens_of(file);
  const auto tokenizer = [&](const char* stem, const char* digest) {
    file.expect_digest(digest, Tokenizer::file_name(folder + stem, tokens.kind));
    return Tokenizer::load(folder + stem, tokens.kind, tokens.lower);
  };
  Tokenizer source = tokenizer("/source", "source_digest"),
            target = tokenizer("/target", "target_digest");
  std::visit(
      [&](const auto& o) {
        if (source.size() == o.source_vocab && target.size() == o.target_vocab) return;
        throw FileError(
            fmt::format("{}: the vocabularies beside it have {} and {} tokens, it needs {} and {}",
                        file.path(), source.size(), target.size(), o.source_vocab, o.target_vocab));
      },
      options);
  TranslationModel model{options, std::move(source), std::move(target), make_net(options, Key{})};
  file.restore(parameters_of(model.net));
  return model;
}

std::string translation_info(const std::string& folder) {
  const ModelFile file(folder + "/model.safetensors");
  const TokenFields tokens = tokens_of(file);
  return model_info(
      file, std::visit([&](const auto& o) { return printed(o, tokens); }, options_of(file)));
}

}  // namespace rapt::tasks
