// Files of translation models: the formats that are read, and metadata that are refused.
#include <chrono>

#include "framework/core/error.hpp"
#include "tasks/model_files/model_file.hpp"
#include "tasks/translation/translation.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/tasks/model_files/altered.hpp"

using namespace rapt;
using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

Tokenizer letters(const std::string& all) {
  return Tokenizer::train({&all, 1}, {.kind = TokenKind::characters, .lower = true});
}

TranslationModel model_of(NetOptions options) {
  Tokenizer source = letters("abcdef"), target = letters("uvwxyz12");
  std::visit(
      [&](auto& o) {
        o.source_vocab = source.size();
        o.target_vocab = target.size();
      },
      options);
  return {options, std::move(source), std::move(target), make_net(options, Key{1})};
}

std::vector<NetOptions> kinds() {
  std::vector<NetOptions> all;
  for (const AttentionKind kind :
       {AttentionKind::none, AttentionKind::additive, AttentionKind::dot}) {
    all.push_back(Seq2SeqOptions{.embed = 12, .hidden = 16, .attention = kind, .readout = 8});
    all.push_back(Seq2SeqOptions{.embed = 12, .hidden = 16, .attention = kind});
  }
  const TransformerOptions small{.width = 16,
                                 .heads = 2,
                                 .encoder_layers = 1,
                                 .decoder_layers = 3,
                                 .feed_forward = 20,
                                 .max_length = 30};
  all.push_back(small);
  for (const PositionKind kind : {PositionKind::learned, PositionKind::t5, PositionKind::rotary}) {
    TransformerOptions o = small;
    o.positions = kind;
    o.tying = Tying::output;
    o.norm_first = true;
    o.activation = Activation::gelu;
    all.push_back(o);
  }
  return all;
}

}  // namespace

TEST_CASE("every kind of model is loaded as it was saved") {
  for (const NetOptions& options : kinds()) {
    const TemporaryFolder folder;
    TranslationModel model = model_of(options);
    model.save(folder.file("m"));
    TranslationModel loaded = TranslationModel::load(folder.file("m"));
    CHECK(loaded.options.index() == model.options.index());
    CHECK(loaded.source.lower());
    const auto a = parameters_of(model.net), b = parameters_of(loaded.net);
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      CHECK(a[i].value().to_vector<float>() == b[i].value().to_vector<float>());
    }
    CHECK_THAT(translation_info(folder.file("m")), Contains("parameters in"));
  }
}

TEST_CASE("files of format 1 are loaded: without digests, and without words on tokens") {
  const TemporaryFolder folder;
  model_of(TransformerOptions{.width = 8, .heads = 2}).save(folder.file("m"));
  const std::string path = folder.file("m/model.safetensors");
  test::alter(path, {{"format", ""}, {"source_digest", ""}, {"target_digest", ""}});
  CHECK(TranslationModel::load(folder.file("m")).source.lower());

  // The oldest ones know words alone.
  const std::vector<Sentence> text{{"ein", "mann", "zwei"}};
  TranslationModel old = model_of(Seq2SeqOptions{.embed = 4, .hidden = 4});
  const Vocabulary words = Vocabulary::build(text, {});
  old.options = Seq2SeqOptions{
      .source_vocab = words.size(), .target_vocab = words.size(), .embed = 4, .hidden = 4};
  old.net = make_net(old.options, Key{1});
  old.save(folder.file("old"));
  words.save(folder.file("old/source.vocab"));
  words.save(folder.file("old/target.vocab"));
  test::alter(folder.file("old/model.safetensors"), {{"format", ""},
                                                     {"source_digest", ""},
                                                     {"target_digest", ""},
                                                     {"tokens", ""},
                                                     {"lower", ""}});
  const TranslationModel loaded = TranslationModel::load(folder.file("old"));
  CHECK(loaded.source.kind() == TokenKind::words);
  CHECK_FALSE(loaded.source.lower());
}

TEST_CASE("a vocabulary of another run of the same size is refused") {
  const TemporaryFolder folder;
  model_of(TransformerOptions{.width = 8, .heads = 2}).save(folder.file("m"));
  letters("fedcbx").save(folder.file("m/source"));
  CHECK_THROWS_WITH(
      TranslationModel::load(folder.file("m")),
      Contains("m/model.safetensors: ") && Contains("m/source.vocab is another file"));
}

TEST_CASE("metadata that ask for more than the tensors hold are refused at once") {
  const auto begin = std::chrono::steady_clock::now();
  for (const NetOptions& options : kinds()) {
    const TemporaryFolder folder;
    model_of(options).save(folder.file("m"));
    const std::string path = folder.file("m/model.safetensors");
    for (const char* name : {"encoder_layers", "decoder_layers", "feed_forward", "width",
                             "source_vocab", "target_vocab", "embed", "hidden", "max_length"}) {
      const std::string before = ModelFile(path).text(name);
      if (before.empty()) continue;
      INFO(name);
      for (const char* value : {"16777216", "131072"}) {
        if (std::string_view(name) == "max_length" && std::string_view(value) == "131072") continue;
        test::alter(path, {{name, value}});
        CHECK_THROWS_WITH(TranslationModel::load(folder.file("m")),
                          Contains("its metadata ask for"));
      }
      test::alter(path, {{name, before}});
      CHECK_NOTHROW(TranslationModel::load(folder.file("m")));
    }
  }
  // Had one of them been made, it would have taken gigabytes and minutes.
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(60));
}
