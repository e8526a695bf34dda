// Models that examples/to_torch.py builds in PyTorch from a folder compute what the models here do.
#include <cstdlib>
#include <iostream>

#include "framework/files/checkpoint.hpp"
#include "framework/graph/tape.hpp"
#include "models/torch_names.hpp"
#include "tasks/translation/translation.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt;
using namespace rapt::tasks;

namespace {

/// Biases and norms start at zeros and ones: then a mix-up would not show.
void randomise(std::vector<Parameter> parameters) {
  std::uint64_t index = 0;
  for (Parameter& parameter : parameters) {
    const Key key = Key{5}.fold(index++);
    if (parameter.value().shape().rank() == 1) {
      parameter.set(normal(key, parameter.value().shape(), 0.5, 0.3));
    }
  }
}

/// Runs to_torch_check.py on what lies in the folder. Without torch the program ends as skipped.
void check(const TemporaryFolder& folder) {
  for (const char* python : {"python3", "/usr/bin/python3"}) {
    const std::string quiet = " >/dev/null 2>&1";
    if (std::system((std::string(python) + " -c 'import torch'" + quiet).c_str()) != 0) continue;
    const std::string command =
        std::string(python) + " '" + RAPT_TORCH_CHECK + "' '" + folder.path().string() + "'";
    CHECK(std::system(command.c_str()) == 0);
    return;
  }
  std::cout << "skipped: there is no python3 with torch (Debian: python3-torch)" << std::endl;
  std::exit(77);
}

Tensor ids(const std::vector<std::vector<std::int32_t>>& rows) { return pad_rows(rows); }

void check_translator(NetOptions options) {
  const TemporaryFolder folder;
  const std::string letters = "abcdef", others = "uvwxyz12";
  Tokenizer source = Tokenizer::train({&letters, 1}, {.kind = TokenKind::characters});
  Tokenizer target = Tokenizer::train({&others, 1}, {.kind = TokenKind::characters});
  const auto* transformer = std::get_if<TransformerOptions>(&options);
  if (transformer != nullptr && transformer->tying == Tying::all) target = source;
  std::visit(
      [&](auto& o) {
        o.source_vocab = source.size();
        o.target_vocab = target.size();
      },
      options);
  TranslationModel model{options, source, target, make_net(options, Key{1})};
  randomise(parameters_of(model.net));
  model.save(folder.file("model"));
  save_safetensors(folder.file("state.safetensors"), to_torch(named(parameters_of(model.net))));
  const Tensor from = ids({{4, 5, 6, 7, 8}, {9, 4, 5}, {6}}), to = ids({{2, 4, 5}, {2, 6}, {2}});
  const Tape tape;
  const Tensor logits = std::visit([&](auto& net) { return net(from, to).value(); }, model.net);
  save_safetensors(folder.file("case.safetensors"),
                   {{"input0", from}, {"input1", to}, {"logits", logits.clone()}});
  check(folder);
}

}  // namespace

TEST_CASE("a Transformer becomes nn.Transformer") {
  const TransformerOptions small{.width = 16,
                                 .heads = 4,
                                 .encoder_layers = 2,
                                 .decoder_layers = 3,
                                 .feed_forward = 24,
                                 .max_length = 10};
  check_translator(small);
  TransformerOptions other = small;
  other.norm_first = true;
  other.activation = Activation::gelu;
  other.positions = PositionKind::learned;
  other.tying = Tying::output;
  check_translator(other);
  other.positions = PositionKind::none;
  other.tying = Tying::all;
  check_translator(other);
}

TEST_CASE("a recurrent translator becomes nn.GRU and nn.GRUCell") {
  check_translator(Seq2SeqOptions{.embed = 6, .hidden = 8, .readout = 5});
  check_translator(Seq2SeqOptions{.embed = 6, .hidden = 8});
}

TEST_CASE("a GPT becomes nn.TransformerEncoder") {
  const TemporaryFolder folder;
  Gpt net({.vocab = 7, .width = 16, .heads = 2, .layers = 2, .tied = true, .max_length = 12},
          Key{1});
  randomise(parameters(net));
  // As char_gpt writes it.
  save_parameters(folder.file("model"), parameters(net),
                  {{"characters", "abcdé\nz"},
                   {"width", "16"},
                   {"heads", "2"},
                   {"layers", "2"},
                   {"block", "12"}});
  const Tensor text = ids({{1, 2, 3, 4, 5}, {6, 5, 4, 3, 2}});
  const Tape tape;
  save_safetensors(folder.file("case.safetensors"),
                   {{"input0", text}, {"logits", net(text).value().clone()}});
  check(folder);
}
