// Fused operators, and their backward passes, against the plain operators that they stand for.
#include <cmath>
#include <set>

#include "framework/core/random.hpp"
#include "framework/graph/graph.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/ctc.hpp"
#include "ops/rows/loss.hpp"
#include "ops/rows/norm.hpp"
#include "ops/rows/softmax.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

Var draw(const Shape& shape, uint64_t stream) {
  return as_var(uniform(Key{5}.fold(stream), shape, -2, 2, DType::float64));
}

Var mask_of(const Shape& shape) {
  Tensor mask(shape, DType::boolean);
  for (int64_t i = 0; i < mask.size(); ++i) {
    mask.data<bool>()[static_cast<size_t>(i)] = Key{6}.below(3, static_cast<uint64_t>(i)) == 0;
  }
  return as_var(mask);
}

/// Equal, infinities too, but for the rounding of sums of some ten terms in double precision.
bool close(double a, double b) { return a == b || std::abs(a - b) <= 1e-12 * (1 + std::abs(b)); }

/// Compares every operator on the tape that has a reference with it. Returns their names.
std::set<std::string_view> compare_references(Graph& graph) {
  std::set<std::string_view> names;
  for (const NodeId n : graph.nodes.ids()) {  // without the nodes that this adds
    const Node node = graph.nodes[n];
    if (node.op == nullptr || node.op->reference == nullptr) continue;
    INFO(node.op->name);
    names.insert(node.op->name);
    std::vector<Var> inputs, outputs(node.outputs);
    for (const ValueId id : graph.inputs_of(node)) inputs.emplace_back(graph, id);
    const auto view = graph.words_of(node);
    const std::vector<int64_t> words(view.begin(), view.end());
    ReferenceContext context(inputs, outputs, words);
    node.op->reference(context);
    for (uint32_t i = 0; i < node.outputs; ++i) {
      if (outputs[i].is_empty()) continue;  // a statistic that only the backward pass reads
      const Var given(graph, node.first_value + i);
      REQUIRE(given.shape() == outputs[i].shape());
      const std::vector<double> got = given.value().to_vector<double>();
      const std::vector<double> want = outputs[i].value().to_vector<double>();
      for (size_t e = 0; e < got.size(); ++e) {
        INFO("output " << i << ", element " << e << ": " << got[e] << " for " << want[e]);
        REQUIRE(close(got[e], want[e]));
      }
    }
  }
  return names;
}

using Names = std::set<std::string_view>;

}  // namespace

TEST_CASE("linear means a product, a bias and an activation") {
  using enum Activation;
  for (const Activation activation : {none, relu, tanh, sigmoid}) {
    Tape tape;
    const Var y = linear(draw({2, 3, 5}, 1), draw({4, 5}, 2), draw({4}, 3), activation);
    linear(y, draw({6, 4}, 4), activation);
    CHECK(compare_references(tape.graph()) == Names{"linear"});
  }
}

TEST_CASE("softmax and its backward pass mean what they say, with and without masks") {
  for (const bool has_mask : {false, true}) {
    Tape tape;
    const Var x = draw({20, 4}, 1);
    const SoftmaxOptions options{.mask = has_mask ? mask_of({20, 4}) : Var()};
    const Var y = softmax(x, options), z = log_softmax(x, options);
    const Var finite = has_mask ? where(options.mask, z, 0) : z;
    grad(sum(y * draw({20, 4}, 2)) + sum(finite * draw({20, 4}, 3)), {x});
    CHECK(compare_references(tape.graph()) ==
          Names{"softmax", "softmax_grad", "log_softmax", "log_softmax_grad"});
  }
}

TEST_CASE("norms and their backward passes mean what they say") {
  Tape tape;
  const Var x = draw({20, 7}, 1), weight = draw({7}, 2), bias = draw({7}, 3);
  const Var y = layer_norm(x, weight, bias), z = rms_norm(x, weight);
  grad(sum(y * draw({20, 7}, 4)) + sum(z * draw({20, 7}, 5)), {x, weight, bias});
  CHECK(compare_references(tape.graph()) ==
        Names{"layer_norm", "layer_norm_grad", "rms_norm", "rms_norm_grad"});
}

TEST_CASE("cross-entropy and its backward pass mean what they say") {
  const Tensor labels = tensor(std::vector<int32_t>{0, 4, -1, 2, 2, 1}, {2, 3});
  for (const bool has_weight : {false, true}) {
    for (const double smoothing : {0.0, 0.2}) {
      Tape tape;
      const Var x = draw({2, 3, 5}, 1);
      const Var weight = has_weight ? square(draw({5}, 2)) : Var();
      const Var loss =
          cross_entropy(x, labels, {.ignore = -1, .label_smoothing = smoothing, .weight = weight});
      grad(loss, {x});
      const Names names = compare_references(tape.graph());
      CHECK(names.count("cross_entropy") == 1);
      CHECK(names.count("cross_entropy_grad") == 1);
    }
  }
}

TEST_CASE("CTC and its backward pass mean what they say, also where no alignment fits") {
  Tape tape;
  const Var x = draw({4, 6, 5}, 1);
  const Tensor targets = tensor<int32_t>({1, 3, 4, 2, 2, 2, 4, 1, -9, 3, 3, 3}, {4, 3});
  const Tensor times = tensor<int32_t>({6, 4, 5, 0}, {4}),
               labels = tensor<int32_t>({3, 3, 2, 0}, {4});
  const Var losses = ctc_loss(x, targets, times, labels, {.reduction = Reduction::none});
  grad(sum(losses * draw({4}, 2)), {x});
  const Names names = compare_references(tape.graph());
  CHECK(names.count("ctc_loss") == 1);
  CHECK(names.count("ctc_loss_grad") == 1);
}

}  // namespace rapt
