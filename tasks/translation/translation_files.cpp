// Saves and loads translation models.
#include <fmt/format.h>

#include <filesystem>

#include "framework/core/error.hpp"
#include "framework/files/checkpoint.hpp"
#include "tasks/data/metadata.hpp"
#include "tasks/translation/translation.hpp"

namespace rapt::tasks {
namespace {

constexpr std::string_view gru_kind = "rapt GruSeq2Seq 1", transformer_kind = "rapt Transformer 1";

constexpr Name<AttentionKind> attentions[] = {{AttentionKind::none, "none"},
                                              {AttentionKind::additive, "additive"},
                                              {AttentionKind::dot, "dot"}};
constexpr Name<Activation> activations[] = {{Activation::relu, "relu"}, {Activation::gelu, "gelu"}};
constexpr Name<TokenKind> token_kinds[] = {{TokenKind::words, "words"},
                                           {TokenKind::characters, "characters"},
                                           {TokenKind::sentencepiece, "sentencepiece"}};
constexpr Name<Tying> tyings[] = {
    {Tying::none, "none"}, {Tying::output, "output"}, {Tying::all, "all"}};

Metadata describe(const Seq2SeqOptions& o) {
  return {{"kind", std::string(gru_kind)},
          {"source_vocab", std::to_string(o.source_vocab)},
          {"target_vocab", std::to_string(o.target_vocab)},
          {"embed", std::to_string(o.embed)},
          {"hidden", std::to_string(o.hidden)},
          {"readout", std::to_string(o.readout)},
          {"attention", name_of(o.attention, attentions)}};
}

Metadata describe(const TransformerOptions& o) {
  return {{"kind", std::string(transformer_kind)},
          {"source_vocab", std::to_string(o.source_vocab)},
          {"target_vocab", std::to_string(o.target_vocab)},
          {"width", std::to_string(o.width)},
          {"heads", std::to_string(o.heads)},
          {"encoder_layers", std::to_string(o.encoder_layers)},
          {"decoder_layers", std::to_string(o.decoder_layers)},
          {"feed_forward", std::to_string(o.feed_forward)},
          {"activation", name_of(o.activation, activations)},
          {"norm_first", o.norm_first ? "1" : "0"},
          {"positions", name_of(o.positions, position_kinds)},
          {"tying", name_of(o.tying, tyings)},
          {"max_length", std::to_string(o.max_length)}};
}

NetOptions options_from(const MetadataReader& r, const std::string& path) {
  const std::string kind = r.text("kind");
  if (kind == gru_kind) {
    return Seq2SeqOptions{.source_vocab = r.number("source_vocab"),
                          .target_vocab = r.number("target_vocab"),
                          .embed = r.number("embed"),
                          .hidden = r.number("hidden"),
                          .attention = r.one_of("attention", attentions),
                          .readout = r.number("readout")};
  }
  if (kind == transformer_kind) {
    return TransformerOptions{.source_vocab = r.number("source_vocab"),
                              .target_vocab = r.number("target_vocab"),
                              .width = r.number("width"),
                              .heads = r.number("heads"),
                              .encoder_layers = r.number("encoder_layers"),
                              .decoder_layers = r.number("decoder_layers"),
                              .feed_forward = r.number("feed_forward"),
                              .activation = r.one_of("activation", activations),
                              .norm_first = r.number("norm_first") != 0,
                              .positions = r.one_of("positions", position_kinds),
                              .tying = r.one_of("tying", tyings),
                              .max_length = r.number("max_length")};
  }
  throw Error(fmt::format("{}: is no model of this program (its kind is '{}')", path, kind));
}

}  // namespace

void TranslationModel::save(const std::string& folder, const std::string& file) {
  std::filesystem::create_directories(folder);
  source.save(folder + "/source");
  target.save(folder + "/target");
  Metadata entries = std::visit([](const auto& o) { return describe(o); }, options);
  entries["tokens"] = name_of(source.kind(), token_kinds);
  entries["lower"] = source.lower() ? "1" : "0";
  save_parameters(folder + "/" + file, parameters_of(net), entries);
}

TranslationModel TranslationModel::load(const std::string& folder, const std::string& file) {
  const std::string path = folder + "/" + file;
  const MetadataReader reader(path, load_safetensors(path).metadata);
  const NetOptions options = options_from(reader, path);
  // Old files have word models and lack these entries.
  const bool old = reader.text("tokens").empty();
  const TokenKind kind = old ? TokenKind::words : reader.one_of("tokens", token_kinds);
  const bool lower = !old && reader.number("lower") != 0;
  TranslationModel model{options, Tokenizer::load(folder + "/source", kind, lower),
                         Tokenizer::load(folder + "/target", kind, lower),
                         make_net(options, Key{})};
  std::visit(
      [&](const auto& o) {
        if (model.source.size() == o.source_vocab && model.target.size() == o.target_vocab) return;
        throw Error(fmt::format(
            "{}: the vocabularies beside it have {} and {} tokens, it needs {} and {}", path,
            model.source.size(), model.target.size(), o.source_vocab, o.target_vocab));
      },
      options);
  load_parameters(path, parameters_of(model.net));
  return model;
}

}  // namespace rapt::tasks
