// Names of parameters: what a list of a whole model, of its parts, and of several models says, and
// what is saved and trained under these names.
#include <cstdio>
#include <rapt/rapt.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;
using Names = std::vector<std::string>;

struct Part {
  Linear l;
  explicit Part(Key key) : l(4, 4, key) {}
  Var operator()(const Arg& x) const {
    const Scope scope(*this, x.where);
    return tanh(l(x));
  }
  void visit(auto&& f) { f("l", l); }
};

struct Net {
  Part encoder, decoder;
  explicit Net(Key key) : encoder(key.fold(0)), decoder(key.fold(1)) {}
  Var operator()(const Arg& x) const {
    const Scope scope(*this, x.where);
    return decoder(encoder(x));
  }
  void visit(auto&& f) {
    f("encoder", encoder);
    f("decoder", decoder);
  }
};

Names names_of(const std::vector<Parameter>& list) {
  Names names;
  for (const Parameter& parameter : list) names.push_back(parameter.name());
  return names;
}

const Names whole{"encoder/l/weight", "encoder/l/bias", "decoder/l/weight", "decoder/l/bias"};
const Names part{"l/weight", "l/bias"};

std::string path_of_an_error(const Linear& layer) {
  Tape tape;
  try {
    layer(zeros({2, 77}));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a list's names stay when a part or the whole is listed later") {
  Net net(Key{1});
  const auto before = parameters(net.encoder);
  CHECK(names_of(before) == part);
  CHECK_THAT(path_of_an_error(net.encoder.l), Contains("; at l, "));
  const auto all = parameters(net);
  const auto after = parameters(net.encoder);
  CHECK(count(parameters(net.decoder)) == 20);
  CHECK(names_of(all) == whole);
  CHECK(names_of(before) == part);
  CHECK(names_of(after) == part);
  // The member itself, and the paths of errors, go by the whole model.
  CHECK(net.encoder.l.weight.name() == "encoder/l/weight");
  CHECK_THAT(path_of_an_error(net.encoder.l), Contains("; at encoder/l, "));
}

TEST_CASE("a model whose part was frozen, counted and listed is saved under its own names") {
  const TemporaryFolder folder;
  const std::string file = folder.file("net.safetensors");
  Net net(Key{1}), fresh(Key{2});
  const auto all = parameters(net);
  for (Parameter& p : parameters(net.encoder)) p.set_trainable(false);
  CHECK_FALSE(net.encoder.l.weight.trainable());
  save_parameters(file, all);
  load_parameters(file, parameters(fresh));
  CHECK(fresh.encoder.l.weight.value().to_vector<float>() ==
        net.encoder.l.weight.value().to_vector<float>());
  // A part's own file has the part's names.
  save_parameters(file, parameters(net.decoder));
  load_parameters(file, parameters(fresh.encoder));
  CHECK(fresh.encoder.l.bias.value().to_vector<float>() ==
        net.decoder.l.bias.value().to_vector<float>());
}

std::vector<ParameterGroup> groups_of(Net& net) {
  return {{.parameters = parameters(net.encoder), .lr_factor = 0.1},
          {.parameters = parameters(net.decoder)}};
}

void train(Net& net, Optimizer& optimizer, int from, int to) {
  for (int i = from; i < to; ++i) {
    Tape tape;
    const Key key = Key{7}.fold(static_cast<uint64_t>(i));
    optimizer.step(mse_loss(net(normal(key, {8, 4})), zeros({8, 4})));
  }
}

TEST_CASE("groups of two parts of a model train, stop and go on to the bit") {
  const TemporaryFolder folder;
  const std::string file = folder.file("run.safetensors");
  Net straight(Key{3}), first(Key{3}), second(Key{4});
  Adam a(groups_of(straight), {.lr = 0.01}), b(groups_of(first), {.lr = 0.01});
  train(straight, a, 0, 6);
  train(first, b, 0, 3);
  NamedTensors saved = named(parameters(first));
  for (auto& entry : b.state()) saved.push_back(entry);
  save_safetensors(file, saved);

  // The resumed program lists whole and parts in another order.
  Adam c(groups_of(second), {.lr = 0.01});
  const Checkpoint checkpoint = load_safetensors(file);
  set_parameters(parameters(second), checkpoint.tensors);
  c.load(checkpoint.tensors);
  train(second, c, 3, 6);
  const auto want = parameters(straight), got = parameters(second);
  for (size_t i = 0; i < want.size(); ++i) {
    CHECK(got[i].value().to_vector<float>() == want[i].value().to_vector<float>());
  }
  // The encoder's moments are not the decoder's.
  CHECK(checkpoint["optimizer/0/l/weight/mean"].to_vector<float>() !=
        checkpoint["optimizer/1/l/weight/mean"].to_vector<float>());
}

TEST_CASE("an optimizer's arrays have the names of its list") {
  Net net(Key{5});
  Sgd sgd(decay_matrices_only(parameters(net)), {.momentum = 0.9});
  (void)parameters(net.encoder);
  Names names;
  for (const auto& [name, tensor] : sgd.state()) names.push_back(name);
  CHECK(std::find(names.begin(), names.end(), "optimizer/encoder/l/weight/velocity") !=
        names.end());
  CHECK(names.size() == 9);
}

TEST_CASE("names that come twice, or not at all, are refused where they would be mixed up") {
  Net net(Key{6});
  std::vector<Parameter> both = parameters(net.encoder);
  for (const Parameter& p : parameters(net.decoder)) both.push_back(p);
  CHECK_THROWS_WITH(Adam(both), Contains("two parameters are named 'l/weight'"));
  CHECK_THROWS_WITH(ExponentialMovingAverage(both),
                    Contains("two parameters are named 'l/weight'"));
  CHECK_THROWS_WITH(named(both), Contains("two parameters are named 'l/weight'"));
  CHECK_THROWS_WITH(Adam(std::vector{both[0], both[1], both[0]}), Contains("given twice"));

  const Parameter one(full({1}, 1)), two(full({1}, 2));
  CHECK_THROWS_WITH(save_parameters("unnamed.safetensors", {one, two}),
                    Contains("parameter 0 of 2 has no name: parameters(model)"));
  // An optimizer numbers what has no name.
  const Sgd sgd({one, two}, {.momentum = 0.5});
  CHECK(sgd.state()[4].first == "optimizer/1/velocity");
}

TEST_CASE("a moving average keeps the names that it was made with") {
  Net net(Key{8});
  ExponentialMovingAverage average(parameters(net.encoder));
  (void)parameters(net);
  CHECK(average.state()[0].first == "average/l/weight");
  ExponentialMovingAverage unnamed({Parameter(full({1}, 1)), Parameter(full({1}, 2))});
  CHECK(unnamed.state()[1].first == "average/1");
}

}  // namespace
}  // namespace rapt
