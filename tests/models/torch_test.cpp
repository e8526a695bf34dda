// Models that take over a state of PyTorch's give its outputs and its gradients.
#include <cmath>
#include <cstdlib>
#include <iostream>

#include "framework/files/checkpoint.hpp"
#include "framework/graph/tape.hpp"
#include "models/layers/recurrent.hpp"
#include "models/torch_names.hpp"
#include "models/transformer.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/shape/shape.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace rapt {
namespace {

const Key key{1};

/// The folder that torch_state.py has written to, once. Without torch the program ends as skipped.
const TemporaryFolder& states() {
  static const TemporaryFolder folder;
  static const bool written = [] {
    for (const char* python : {"python3", "/usr/bin/python3"}) {
      const std::string command = std::string(python) + " '" + RAPT_TORCH_STATE + "' '" +
                                  folder.path().string() + "' >/dev/null 2>&1";
      if (std::system(command.c_str()) == 0) return true;
    }
    std::cout << "skipped: there is no python3 with torch (Debian: python3-torch)" << std::endl;
    std::exit(77);
  }();
  REQUIRE(written);
  return folder;
}

/// What torch_state.py wrote of one case.
struct State {
  Checkpoint file;

  explicit State(const std::string& name)
      : file(load_safetensors(states().file(name + ".safetensors"))) {}

  const Tensor& input(const std::string& name) const { return file["input/" + name]; }
  NamedTensors under(const std::string& prefix) const {
    NamedTensors found;
    for (const auto& [name, tensor] : file.tensors) {
      if (name.starts_with(prefix)) found.emplace_back(name.substr(prefix.size()), tensor);
    }
    return found;
  }
};

void check_close(const Tensor& own, const Tensor& torch, const std::string& what) {
  INFO(what);
  REQUIRE(own.shape() == torch.shape());
  const std::vector<double> a = own.to_vector<double>(), b = torch.to_vector<double>();
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]) / (1 + std::abs(b[i])));
  }
  CHECK(largest < 1e-5);
}

/// Sets the model, and compares output and gradients of sum(output * upstream).
template <class Model, class Run>
void check_model(const State& state, Model& model, const std::vector<std::string>& inputs,
                 const Run& run) {
  const std::vector<Parameter> own = parameters(model);
  const NamedTensors torch = from_torch(state.under("state/"));
  CHECK(torch.size() == own.size());  // every one has its place
  set_parameters(own, torch);
  Tape tape;
  std::vector<Var> given, wrt;
  for (const std::string& name : inputs) {
    given.push_back(as_var(state.input(name)));
    if (is_float(given.back().dtype())) wrt.push_back(given.back());
  }
  const Var output = run(given);
  check_close(output.value(), state.file["output"], "output");
  const size_t of_inputs = wrt.size();
  for (const Parameter& parameter : own) wrt.push_back(as_var(parameter));
  const std::vector<Var> grads = grad(sum(output * state.file["upstream"]), wrt);
  const NamedTensors expected = from_torch(state.under("grad/"));
  const Checkpoint by_name{expected, {}};
  for (size_t i = 0; i < of_inputs; ++i) {
    check_close(grads[i].value(), by_name["input/" + inputs[i]], inputs[i]);
  }
  for (size_t i = 0; i < own.size(); ++i) {
    check_close(grads[of_inputs + i].value(), by_name[own[i].name()], own[i].name());
  }
}

}  // namespace

TEST_CASE("names of PyTorch's parameters") {
  const auto is = [](const char* torch, const char* own) { CHECK(name_from_torch(torch) == own); };
  is("encoder.layers.3.self_attn.in_proj_weight", "encoder/3/self_attention/in_proj/weight");
  is("decoder.layers.0.multihead_attn.out_proj.bias", "decoder/0/cross_attention/out_proj/bias");
  is("transformer.decoder.norm.weight", "transformer/decoder_norm/weight");
  is("layers.1.linear2.weight", "layers/1/feed_forward/down/weight");
  is("encoder.layers.0.norm1.bias", "encoder/0/norm1/bias");
  is("rnn.bias_hh_l1_reverse", "rnn/backward/1/bias_hh");
  is("weight_ih_l0", "forward/0/weight_ih");
  is("weight_ih", "weight_ih");
  is("output.weight", "output/weight");
}

TEST_CASE("multi-head attention with PyTorch's state") {
  MultiHeadAttention model(12, 3, key);
  check_model(State("attention"), model, {"x"},
              [&](const std::vector<Var>& in) { return model(in[0], causal()); });
  check_model(State("cross_attention"), model, {"x", "memory"}, [&](const std::vector<Var>& in) {
    return model(in[0], in[1], lengths(tensor(std::vector<int32_t>{6, 2}, {2})));
  });
}

TEST_CASE("a Transformer with PyTorch's state") {
  const bool first = GENERATE(false, true);
  Transformer model({.source_vocab = 11,
                     .target_vocab = 13,
                     .width = 16,
                     .heads = 4,
                     .encoder_layers = 2,
                     .decoder_layers = 2,
                     .feed_forward = 24,
                     .dropout = 0,
                     .activation = first ? Activation::gelu : Activation::relu,
                     .norm_first = first,
                     .positions = PositionKind::none},
                    key);
  check_model(State(first ? "transformer_norm_first" : "transformer"), model, {"source", "target"},
              [&](const std::vector<Var>& in) { return model(in[0], in[1]); });
}

TEST_CASE("a GRU and an LSTM with PyTorch's state") {
  // States at padded places are none of PyTorch's: they count as 0.
  const auto flat = [](const RecurrentOutput& y, const Var& lengths) {
    const Tensor place = tensor(std::vector<int32_t>{0, 1, 2, 3, 4, 5}, {1, 6});
    const Var seen = cast(as_var(place) < unsqueeze(lengths, 1), DType::float32);
    std::vector<Var> parts{reshape(y.states * unsqueeze(seen, 2), {-1}), reshape(y.last, {-1})};
    if (!y.last_cells.is_empty()) parts.push_back(reshape(y.last_cells, {-1}));
    return concat(parts, 0);
  };
  const RecurrentOptions options{.layers = 2, .bidirectional = true};
  GRU gru(5, 7, key, options);
  check_model(State("gru"), gru, {"x", "lengths"},
              [&](const std::vector<Var>& in) { return flat(gru(in[0], in[1]), in[1]); });
  LSTM lstm(5, 7, key, options);
  check_model(State("lstm"), lstm, {"x", "lengths"},
              [&](const std::vector<Var>& in) { return flat(lstm(in[0], in[1]), in[1]); });
}

}  // namespace rapt
