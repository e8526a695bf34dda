// Names of parameters for PyTorch, and back.
#include "models/torch_names.hpp"

#include "models/layers/multi_head.hpp"
#include "models/layers/recurrent.hpp"
#include "models/seq2seq.hpp"
#include "models/transformer.hpp"
#include "tests/support/catch.hpp"

using namespace rapt;

namespace {

template <class Model>
void check_round_trip(Model model) {
  for (const Parameter& parameter : parameters(model)) {
    const std::string torch = name_to_torch(parameter.name());
    INFO(torch);
    CHECK(torch.find('/') == std::string::npos);
    CHECK(name_from_torch(torch) == parameter.name());
  }
}

}  // namespace

TEST_CASE("names that PyTorch's modules have") {
  CHECK(name_to_torch("encoder/0/self_attention/in_proj/weight") ==
        "encoder.layers.0.self_attn.in_proj_weight");
  CHECK(name_to_torch("decoder/11/cross_attention/out_proj/bias") ==
        "decoder.layers.11.multihead_attn.out_proj.bias");
  CHECK(name_to_torch("decoder/2/feed_forward/up/weight") == "decoder.layers.2.linear1.weight");
  CHECK(name_to_torch("decoder/2/feed_forward/down/bias") == "decoder.layers.2.linear2.bias");
  CHECK(name_to_torch("encoder_norm/weight") == "encoder.norm.weight");
  CHECK(name_to_torch("forward/0/weight_ih") == "weight_ih_l0");
  CHECK(name_to_torch("encoder/backward/1/bias_hh") == "encoder.bias_hh_l1_reverse");
  CHECK(name_to_torch("source_embedding/weight") == "source_embedding.weight");
}

TEST_CASE("every parameter comes back under its name") {
  check_round_trip(Transformer({.source_vocab = 5,
                                .target_vocab = 6,
                                .width = 8,
                                .heads = 2,
                                .encoder_layers = 2,
                                .decoder_layers = 2,
                                .feed_forward = 12,
                                .positions = PositionKind::learned},
                               Key{1}));
  check_round_trip(GruSeq2Seq(
      {.source_vocab = 5, .target_vocab = 6, .embed = 4, .hidden = 6, .readout = 5}, Key{1}));
  check_round_trip(GRU(3, 4, Key{1}, {.layers = 2, .bidirectional = true}));
  check_round_trip(Gpt({.vocab = 7, .width = 8, .heads = 2, .layers = 2}, Key{1}));
}

TEST_CASE("arrays keep their order and their memory") {
  GRU gru(3, 4, Key{1}, {.bidirectional = true});
  const NamedTensors own = named(parameters(gru)), state = to_torch(own), back = from_torch(state);
  REQUIRE(state.size() == own.size());
  for (size_t i = 0; i < own.size(); ++i) {
    CHECK(state[i].first == name_to_torch(own[i].first));
    CHECK(state[i].second.data<float>().data() == own[i].second.data<float>().data());
    CHECK(back[i].first == own[i].first);
  }
}
