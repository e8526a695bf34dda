// What operators take: tensors and parameters where they take Vars, whole numbers of any type, and
// operators of a user's own whose rules hold on to what they were given.
#include <limits>
#include <rapt/rapt.hpp>
#include <type_traits>

#include "tests/support/catch.hpp"

namespace rapt {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;

TEST_CASE("options and lists take tensors and parameters") {
  Tape tape;
  const Tensor x = normal(Key{1}, {2, 3}), keep = tensor<bool>({true, false, true});
  const Tensor by_hand = softmax(x, {.mask = as_var(keep)}).value();
  CHECK(softmax(x, {.mask = keep}).value().to_vector<float>() == by_hand.to_vector<float>());
  CHECK(by_hand.to_vector<float>()[1] == 0);

  const Parameter bias(normal(Key{2}, {1, 1, 3, 3}));
  const Tensor q = normal(Key{3}, {1, 1, 3, 4});
  const Var biased = attention(q, q, q, {.bias = bias});
  CHECK(biased.value().to_vector<float>() ==
        attention(q, q, q, {.bias = as_var(bias)}).value().to_vector<float>());
  CHECK(grad(sum(biased), {bias})[0].shape() == bias.shape());
  CHECK(sum(abs(grad(sum(square(biased)), {bias})[0])).item() > 0);

  const Mask lengths_alone{.key_lengths = tensor<int32_t>({2})};
  CHECK(attention(q, q, q, {.mask = lengths_alone}).value().to_vector<float>() ==
        attention(q, q, q, {.mask = lengths(tensor<int32_t>({2}))}).value().to_vector<float>());

  const GRU gru(3, 4, Key{4});
  const Tensor steps = normal(Key{5}, {2, 5, 3}), rows = tensor<int32_t>({5, 2});
  CHECK(gru(steps, rows).last.value().to_vector<float>() ==
        gru(steps, as_var(rows)).last.value().to_vector<float>());
  const LSTMCell cell(3, 4, Key{6});
  const Tensor state = normal(Key{7}, {2, 4});
  CHECK(cell(x, {state, state}).c.value().to_vector<float>() ==
        cell(x, {as_var(state), as_var(state)}).c.value().to_vector<float>());

  const std::vector<Tensor> several{tensor<float>({1, 2}), tensor<float>({3})};
  CHECK(concat(several, 0).value().to_vector<float>() == std::vector<float>{1, 2, 3});
  CHECK(stack(std::vector<Parameter>(2, bias), 0).shape() == Shape{2, 1, 1, 3, 3});
  const Var both = several[0];
  CHECK((both * both).value().to_vector<float>() == std::vector<float>{1, 4});
}

TEST_CASE("a Var of a tensor needs a tape, and says where") {
  const int line = __LINE__ + 1;
  const auto at_line = [&] { (void)Var(full({}, 1)); };
  CHECK_THROWS_WITH(at_line(), Contains("Tape tape; comes first") &&
                                   EndsWith("operands_test.cpp:" + std::to_string(line)));
}

TEST_CASE("whole numbers of all types become int32, or an error that names the value") {
  const auto values = [](const Tensor& t) {
    CHECK(t.dtype() == DType::int32);
    return t.to_vector<int32_t>();
  };
  using Wanted = std::vector<int32_t>;
  CHECK(values(tensor(std::vector<int64_t>{-2147483648, 7, 2147483647}, {3})) ==
        Wanted{-2147483648, 7, 2147483647});
  CHECK(values(tensor(std::vector<uint8_t>{0, 255}, {2})) == Wanted{0, 255});
  CHECK(values(tensor(std::vector<int8_t>{-128, 127}, {2})) == Wanted{-128, 127});
  CHECK(values(tensor(std::vector<char>{'a'}, {1})) == Wanted{97});
  CHECK(values(tensor(std::vector<size_t>{3, 4}, {2, 1})) == Wanted{3, 4});
  CHECK(values(tensor({1L, 2L})) == Wanted{1, 2});
  CHECK_THROWS_WITH(tensor(std::vector<int64_t>{5, 2147483648}, {2}),
                    Contains("the value 2147483648, number 1, is no int32"));
  CHECK_THROWS_WITH(tensor(std::vector<int64_t>{-2147483649}, {1}), Contains("-2147483649"));
  CHECK_THROWS_WITH(tensor(std::vector<uint64_t>{std::numeric_limits<uint64_t>::max()}, {1}),
                    Contains("18446744073709551615"));
  CHECK_THROWS_WITH(tensor(std::vector<int64_t>{5, 6}, {3}), Contains("2 values"));

  const std::vector<bool> bits{true, false, true};
  CHECK(tensor(bits, {3}).dtype() == DType::boolean);
  CHECK(tensor(bits, {3}).to_vector<bool>() == bits);
  CHECK(tensor(std::vector<bool>(), {0}).size() == 0);
}

TEST_CASE("elements come back as whole numbers of all types") {
  const Tensor ints = tensor<int32_t>({-2147483647 - 1, 200, 2147483647});
  CHECK(ints.to_vector<int64_t>() == std::vector<int64_t>{-2147483648, 200, 2147483647});
  CHECK(tensor<int32_t>({0, 200}).to_vector<uint8_t>() == std::vector<uint8_t>{0, 200});
  CHECK(tensor<bool>({true, false}).to_vector<int64_t>() == std::vector<int64_t>{1, 0});
  CHECK(tensor<double>({-1.9, 1e15, 2.5}).to_vector<int64_t>() ==
        std::vector<int64_t>{-1, 1000000000000000, 2});
  CHECK(tensor<double>({-0.5, 255.5}).to_vector<uint8_t>() == std::vector<uint8_t>{0, 255});
  CHECK_THROWS_WITH(ints.to_vector<uint8_t>(), Contains("-2147483648"));
  CHECK_THROWS_WITH(tensor<int32_t>({256}).to_vector<uint8_t>(), Contains("256"));
  CHECK_THROWS_WITH(tensor<double>({0x1p63}).to_vector<int64_t>(), Contains("range"));
  CHECK_THROWS_WITH(tensor<double>({std::nan("")}).to_vector<int64_t>(), Contains("nan"));
}

// ---- operators of one's own ---------------------------------------------------------------------

static_assert(!std::is_reference_v<decltype(std::declval<ShapeContext&>().input(0))>,
              "a rule holds shapes while outputs move the graph's list");

// y = x, x + 1; the rule holds a shape across outputs.
const Op pair_op{.name = "pair",
                 .shape =
                     [](ShapeContext& c) {
                       const Shape& x = c.input(0);
                       for (int i = 0; i < 7; ++i) c.output({x[0], x[1], i}, c.dtype());
                       c.output(x, c.dtype());
                     },
                 .gradient = [](GradientContext& c) { c.input_grad(0) = c.output_grad(7); },
                 .cpu = {.forward = [](const ForwardContext& c) {
                   const float* from = c.input(0).as<const float>();
                   float* to = c.output(7).as<float>();
                   for (int64_t i = 0; i < c.input(0).size(); ++i) to[i] = from[i] + 1;
                 }}};

TEST_CASE("shapes that a rule holds on to stay right while the recording grows") {
  for (const int steps : {1, 20, 300, 1500}) {
    Tape tape;
    Var x = as_var(zeros({2, 3}));
    const Var first = x;
    for (int i = 0; i < steps; ++i) {
      x = record(pair_op, {x});
      REQUIRE(x.output(6).shape() == Shape{2, 3, 6});
      x = x.output(7);
      REQUIRE(x.shape() == Shape{2, 3});
    }
    CHECK(sum(x).item() == 6 * steps);
    CHECK(grad(sum(x), {first})[0].value().to_vector<float>() == std::vector<float>(6, 1));
  }
}

TEST_CASE("cells in a loop of any length") {
  for (const int steps : {50, 300, 700, 1500}) {
    Tape tape;
    const GRUCell gru(4, 4, Key{1});
    const LSTMCell lstm(4, 4, Key{2});
    const Var x = normal(Key{3}, {2, 4});
    Var h = zeros({2, 4});
    LstmState s{h, h};
    for (int t = 0; t < steps; ++t) {
      h = gru(x, h);
      s = lstm(x, s);
    }
    const auto grads = grad(sum(h) + sum(s.h), {gru.weight_hh, lstm.weight_hh});
    CHECK(grads[0].shape() == Shape{12, 4});
    CHECK(grads[1].shape() == Shape{16, 4});
    if (steps == 50) CHECK(std::isfinite(sum(grads[0]).item() + sum(grads[1]).item()));
  }
}

// ---- lengths ------------------------------------------------------------------------------------

TEST_CASE("a length outside of the steps is an error that names row, value and line") {
  Tape tape;
  const Tensor x = normal(Key{1}, {2, 3, 4}), h = zeros({2, 4}), q = normal(Key{2}, {2, 1, 3, 4});
  const GRU gru(4, 4, Key{3});
  const LSTM lstm(4, 4, Key{4});
  const GRUCell cell(4, 4, Key{5});
  for (const int32_t length : {-1, 4}) {
    const Tensor wrong = tensor<int32_t>({2, length});
    const std::string which = "length " + std::to_string(length) + " of row 1";
    const auto is_named = Contains(which + " is none of 0 .. 3; at operands_test.cpp:");
    CHECK_THROWS_WITH(gru(x, wrong).last.value(), Contains("gru_sequence: ") && is_named);
    CHECK_THROWS_WITH(lstm(x, wrong).last.value(), Contains("lstm_sequence: ") && is_named);
    const Mask mask = lengths(wrong);
    CHECK_THROWS_WITH(attention(q, q, q, {.mask = mask}).value(), is_named);
    CHECK_THROWS_WITH(attention_weights(q, q, {.mask = mask}).value(), is_named);
    CHECK_THROWS_WITH(attention_statistics(q, q, {.mask = mask}).entropy.value(), is_named);
    CHECK_THROWS_WITH(masked(normal(Key{6}, {2, 3, 3}), mask).value(), is_named);
    CHECK_THROWS_WITH(additive_attention(h, x, zeros({4}), x, mask).value(), is_named);
    CHECK_THROWS_WITH(shared_attention(zeros({2, 1, 4}), zeros({2, 3, 1, 4}), zeros({2, 3, 1, 4}),
                                       tensor<int32_t>({0, 1}), wrong)
                          .value(),
                      is_named);
  }
  // A step alone does not know how many there are.
  const auto step = [&](int32_t length) {
    return gru_cell(h, h, cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh,
                    {.lengths = tensor<int32_t>({length, 1}), .step = 0});
  };
  CHECK_THROWS_WITH(step(-1).value(), Contains("length -1 of row 0"));
  CHECK_NOTHROW(step(1000).value());
  // The ends are lengths, too.
  CHECK_NOTHROW(gru(x, tensor<int32_t>({0, 3})).last.value());
  CHECK_NOTHROW(attention(q, q, q, {.mask = lengths(tensor<int32_t>({0, 3}))}).value());
}

TEST_CASE("recurrent layers refuse sequences of no step") {
  Tape tape;
  const int line = __LINE__ + 1;
  const auto at_line = [&] { (void)GRU(3, 4, Key{1})(zeros({2, 0, 3})); };
  CHECK_THROWS_WITH(at_line(),
                    Contains("GRU: expected sequences of one step or more, got [2, 0, 3]; at ") &&
                        EndsWith("operands_test.cpp:" + std::to_string(line)));
  CHECK_THROWS_WITH(LSTM(3, 4, Key{1})(zeros({2, 0, 3})), Contains("LSTM: "));
}

}  // namespace
}  // namespace rapt
