// Wrong calls of each part of the library: the kind, the operator or function, and a piece of the
// text of their errors.
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "framework/core/error.hpp"
#include "framework/core/random.hpp"
#include "framework/files/average.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "models/captioner.hpp"
#include "models/decoding/ctc_decoding.hpp"
#include "models/decoding/ensemble.hpp"
#include "models/greedy.hpp"
#include "models/gru_steps.hpp"
#include "models/layers/recurrent.hpp"
#include "models/speech_transformer.hpp"
#include "models/transformer_steps.hpp"
#include "ops/attention/attention.hpp"
#include "ops/attention/attention_weights.hpp"
#include "ops/attention/rotary.hpp"
#include "ops/autodiff/check_gradient.hpp"
#include "ops/autodiff/grad.hpp"
#include "ops/convolution/convolution.hpp"
#include "ops/convolution/pooling.hpp"
#include "ops/elementwise/dropout.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/products/matmul.hpp"
#include "ops/recurrent/recurrent.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/loss.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/rows/top_k.hpp"
#include "ops/shape/embedding.hpp"
#include "ops/shape/gather.hpp"
#include "ops/shape/shape.hpp"
#include "optim/clip.hpp"
#include "optim/ema.hpp"
#include "optim/optimizer.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

constexpr ErrorKind usage = ErrorKind::usage, shape = ErrorKind::shape, type = ErrorKind::type;

struct WrongCall {
  ErrorKind kind;
  std::string op;
  std::string piece;  // of the message
  std::function<void()> call;
  bool has_line = true;  // true if the error names a line of this file
};

Tensor ids(const Shape& of) { return full(of, 1, DType::int32); }

void check(const std::vector<WrongCall>& calls) {
  for (const WrongCall& wrong : calls) {
    INFO(wrong.op << ": .. " << wrong.piece);
    const Tape tape;
    try {
      wrong.call();
      FAIL_CHECK("nothing was thrown");
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(error.kind() == wrong.kind);
      CHECK(error.op() == wrong.op);
      CHECK_THAT(error.what(), Catch::Contains(wrong.piece));
      CHECK((error.place().find("wrong_calls_test.cpp:") != std::string::npos) == wrong.has_line);
    }
  }
}

constexpr auto shape_of_input = [](ShapeContext& c) { return c.input(0); };

}  // namespace

TEST_CASE("wrong calls of tensors and variables") {
  check({
      {usage, "tensor", "empty", [] { (void)Tensor().data<float>(); }, false},
      {type, "tensor", "holds float32, asked for as int32",
       [] { (void)zeros({2}).data<int32_t>(); }, false},
      {shape, "item", "[2, 3]",
       [] {
         (void)zeros({2, 3}).item();
       },
       false},
      {shape, "item", "[2, 3]",
       [] {
         (void)as_var(zeros({2, 3})).item();
       }},
      {shape, "copy_from", "[2] from [3]", [] { zeros({2}).copy_from(zeros({3})); }, false},
      {shape, "reshape", "6 elements",
       [] {
         (void)zeros({2, 3}).reshape({5});
       },
       false},
      {shape, "tensor", "3 values for the shape [2]",
       [] {
         (void)tensor<float>({1, 2, 3}, {2});
       },
       false},
      {usage, "full", "int32 cannot hold", [] { (void)full({1}, 1e30, DType::int32); }, false},
      {type, "uniform", "got int32", [] { (void)uniform(Key{1}, {1}, 0, 1, DType::int32); }, false},
      {type, "normal", "got int32", [] { (void)normal(Key{1}, {1}, 0, 1, DType::int32); }, false},
      {usage, "permutation", "n is -1", [] { (void)permutation(Key{1}, -1); }, false},
      {shape, "shape", "dimension 1 is negative: -3",
       [] {
         (void)zeros({2, -3});
       },
       false},
      {usage, "Parameter", "without a value", [] { (void)Parameter().value(); }, false},
      {usage, "Parameter", "memory", [] { (void)Parameter(Tensor()); }, false},
      {shape, "size", "no axis 2 in [3]", [] { (void)as_var(zeros({3})).size(2); }},
      {usage, "exp", "1 outputs, asked for output 1", [] { (void)exp(zeros({1})).output(1); }},
      {shape, "unsqueeze", "more than 8 dimensions",
       [] {
         unsqueeze(zeros({1, 1, 1, 1, 1, 1, 1, 1}), 0);
       }},
      {usage, "average", "nothing to average", [] { (void)mean_of({}); }, false},
      {shape, "average", "[3]",
       [] {
         (void)mean_of({{{"a", zeros({2})}}, {{"a", zeros({3})}}});
       },
       false},
  });
}

TEST_CASE("an operator that writes to a result is the one at fault") {
  static const Op writes{.name = "writes",
                         .shape = shape_of_input,
                         .traits = {.mutates = 1},
                         .cpu = {.forward = [](const ForwardContext&) {}}};
  check({{usage, "writes", "the result of exp", [] { record(writes, {exp(zeros({2}))}); }}});
}

TEST_CASE("wrong calls of operators") {
  const Tensor q = zeros({1, 2, 3, 4}), k = zeros({1, 2, 5, 4});
  check({
      {shape, "matmul", "[2, 3] x [2, 3]",
       [] {
         matmul(zeros({2, 3}), zeros({2, 3}));
       }},
      {type, "where", "boolean", [] { where(zeros({2}), zeros({2}), zeros({2})); }},
      {type, "max", "got boolean", [] { max(zeros({2}, DType::boolean)); }},
      {shape, "sum", "no axis 3", [] { sum(zeros({2}), 3); }},
      {shape, "sum_to", "[2] does not broadcast to [3]", [] { sum_to(zeros({3}), {2}); }},
      {usage, "axes", "at most 8",
       [] {
         sum(zeros({2}), {0, 0, 0, 0, 0, 0, 0, 0, 0});
       },
       false},
      {usage, "slice", "step has to be at least 1", [] { slice(zeros({4}), 0, 0, 4, 0); }},
      {shape, "split", "3 places",
       [] {
         split(zeros({4}), {1, 2}, 0);
       }},
      {shape, "stack", "[2] and [3]",
       [] {
         stack({Arg(zeros({2})), Arg(zeros({3}))}, 0);
       }},
      {usage, "concat", "at least one", [] { concat(std::vector<Arg>{}, 0); }},
      {type, "one_hot", "float32", [] { one_hot(zeros({2}), 3); }},
      {usage, "one_hot", "-1", [] { one_hot(ids({2}), -1); }},
      {type, "embedding", "float32",
       [] {
         embedding(zeros({2}), zeros({3, 4}));
       }},
      {usage, "embedding", "id 1 at position [0, 0] is outside a table of 1",
       [] {
         embedding(ids({2, 3}), zeros({1, 4})).value();
       }},
      {usage, "embedding", "position [1, 2]",
       [] {
         Tensor some = zeros({2, 3}, DType::int32);
         some.data<int32_t>()[5] = 9;
         embedding_by_steps(some, zeros({2, 4})).value();
       }},
      {usage, "conv1d", "stride 0",
       [] {
         conv1d(zeros({1, 2, 4}), zeros({1, 2, 3}), {.stride = 0});
       }},
      {usage, "conv1d", "group",
       [] {
         conv1d(zeros({1, 2, 4}), zeros({1, 2, 3}), {.groups = 0});
       }},
      {usage, "max_pool1d", "at least 1",
       [] {
         max_pool1d(zeros({1, 4}), {.kernel = 0});
       }},
      {usage, "max_pool1d", "padding",
       [] {
         max_pool1d(zeros({1, 4}), {.kernel = 2, .padding = -1});
       }},
      {usage, "cross_entropy", "label_smoothing",
       [] {
         cross_entropy(zeros({1, 2}), ids({1}), {.label_smoothing = 2});
       }},
      {type, "cross_entropy", "float32",
       [] {
         cross_entropy(zeros({1, 2}), zeros({1}));
       }},
      {shape, "mse_loss", "[2] and [3]", [] { mse_loss(zeros({2}), zeros({3})); }},
      {type, "top_k", "int32", [] { top_k(ids({3}), 1); }},
      {shape, "top_k", "4 elements", [] { top_k(zeros({3}), 4); }},
      {usage, "dropout", "1.5", [] { dropout(zeros({3}), 1.5); }},
      {type, "mask", "float32 [2]", [] { lengths(zeros({2})); }},
      {shape, "mask", "int32 [2, 1]",
       [] {
         lengths(ids({2, 1}));
       }},
      {usage, "sliding_window", "-2", [] { sliding_window(-2); }, false},
      {usage, "attention", "1.5", [&] { attention(q, k, k, {.dropout = 1.5}); }},
      {usage, "attention", "scale is nan", [&] { attention(q, k, k, {.scale = std::nan("")}); }},
      {usage, "attention_statistics", "-1", [&] { attention_statistics(q, k, {}, {.top = -1}); }},
      {usage, "attention_weights", "no head 2", [&] { attention_weights(q, k, {}, {.head = 2}); }},
      {shape, "score function", "returns float32 [3, 7]",
       [&] {
         attention(q, k, k, {.score = [](const Score& s) {
                     return s.value.size(0) > 0 ? Var(zeros({3, 7})) : s.value;
                   }});
       }},
      {type, "score function", "returns boolean",
       [&] { attention(q, k, k, {.score = [](const Score& s) { return s.value > 0; }}); }},
      {usage, "softcap", "above 0", [] { score::softcap(0); }, false},
      {shape, "t5_bias", "[buckets, 2]",
       [&] {
         attention(q, k, k, {.score = score::t5_bias(zeros({8, 3}))});
       }},
      {usage, "rotary_table", "even", [] { (void)rotary_table(4, 3); }, false},
      {usage, "rotary_table", "base is 0", [] { (void)rotary_table(4, 2, 0); }, false},
      {shape, "gru_cell", "[2, 2] and [1, 4]",
       [] {
         const RecurrentWeights w(3, 2, 4, Key{1});
         gru_cell(zeros({2, 2}), zeros({1, 4}), w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh);
       }},
      {type, "gru_sequence", "float32",
       [] {
         gru_sequence(zeros({3, 2, 12}), zeros({2, 4}), zeros({12, 4}), zeros({12}),
                      {as_var(zeros({2})), false});
       }},
      {shape, "grad", "[2]", [] { grad(as_var(zeros({2})), std::vector<Var>{}); }},
      {type, "grad", "int32", [] { grad(as_var(ids({1})), std::vector<Var>{}); }},
      {type, "grad", "respect to int32",
       [] {
         const Var loss = sum(zeros({2}));
         grad(loss, std::vector<Var>{as_var(ids({1}))});
       }},
      {shape, "vjp", "seed float32 [3]",
       [] {
         const std::vector<Var> x{as_var(zeros({2}))}, y{exp(x[0])}, seed{as_var(zeros({3}))};
         vjp(y, seed, x);
       }},
      {type, "vjp", "seed float64 [2]",
       [] {
         const std::vector<Var> x{as_var(zeros({2}))}, y{exp(x[0])},
             seed{as_var(zeros({2}, DType::float64))};
         vjp(y, seed, x);
       }},
      {type, "global_norm", "floats", [] { global_norm(std::vector{as_var(ids({1}))}); }},
      {usage, "shapes", "'3;'", [] { (void)shapes("3;", Key{1}); }, false},
  });
}

TEST_CASE("wrong calls of models, with arrays that do not belong together") {
  const Key key{1};
  const GruSeq2Seq gru({.source_vocab = 5, .target_vocab = 5, .embed = 3, .hidden = 4}, key);
  const Transformer transformer({.source_vocab = 5,
                                 .target_vocab = 5,
                                 .width = 4,
                                 .heads = 2,
                                 .encoder_layers = 1,
                                 .decoder_layers = 1,
                                 .feed_forward = 4,
                                 .max_length = 8},
                                key);
  const Gpt gpt({.vocab = 5, .width = 4, .heads = 2, .layers = 1, .max_length = 8}, key);
  const ImageEncoderOptions image{.height = 4, .width = 4, .stages = {{8}}, .memory = 4};
  const GruCaptioner captioner({.image = image, .vocab = 5, .embed = 3, .hidden = 4}, key);
  const TransformerCaptioner looker(
      {.image = image,
       .decoder =
           {.vocab = 5, .width = 4, .heads = 2, .layers = 1, .feed_forward = 4, .max_length = 8}},
      key);
  const SpeechTransformer speech({.features = 4,
                                  .vocab = 5,
                                  .channels = 2,
                                  .width = 4,
                                  .heads = 2,
                                  .encoder_layers = 1,
                                  .decoder_layers = 1,
                                  .feed_forward = 4},
                                 key);
  const MultiHeadAttention layer(4, 2, key);
  const DecoderLayer decoder({.width = 4, .heads = 2, .feed_forward = 4}, key);
  const AdditiveAttention additive(4, 4, 4, key);
  const DotAttention dot;
  const Tensor pictures = zeros({2, 3, 4, 4}), log_p = zeros({2, 4, 3});
  Tensor wild = full({2, 3}, 1, DType::int32);
  wild.data<int32_t>()[5] = 9;  // row 1, token 2
  const auto memory_of_two = [&](const Var& x) {
    return additive(x, zeros({2, 3, 4}), zeros({2, 3, 4}));
  };
  check({
      {shape, "GruSeq2Seq", "[2, 1] and [1, 2]",
       [&] {
         gru(ids({1, 2}), ids({2, 1}));
       }},
      {shape, "GruSeq2Seq", "source int32 [rows, T], got int32 [3]", [&] { gru.encode(ids({3})); }},
      {type, "GruSeq2Seq", "got float32 [1, 3]",
       [&] {
         gru.encode(zeros({1, 3}));
       }},
      {usage, "embedding", "id 9 at position [1, 2]", [&] { gru.encode(wild).memory.value(); }},
      {usage, "embedding", "id 9 at position [1, 2]",
       [&] {
         gru(ids({2, 3}), wild).value();
       }},
      {shape, "Transformer", "[2, 1] and [1, 2]",
       [&] {
         transformer(ids({1, 2}), ids({2, 1}));
       }},
      {shape, "Transformer", "got int32 [3]", [&] { transformer.encode(ids({3})); }},
      {type, "Transformer", "got float32 [1, 3]",
       [&] {
         transformer(zeros({1, 3}), ids({1, 3}));
       }},
      {usage, "embedding", "id 9 at position [1, 2]",
       [&] {
         transformer(ids({2, 3}), wild).value();
       }},
      {shape, "Positions", "room for 8",
       [&] {
         transformer.encode(ids({1, 9}));
       }},
      {shape, "Gpt", "got int32 [3]", [&] { gpt(ids({3})); }},
      {shape, "AttentiveGru::decode", "3 rows are no multiple of 2",
       [&] {
         captioner(pictures, ids({3, 4}));
       }},
      {shape, "AttentiveGru::decode", "got int32 [3]", [&] { captioner(pictures, ids({3})); }},
      {shape, "AttentiveGru::step", "got [2] and [3, 4]",
       [&] {
         gru.step(gru.encode(ids({2, 3})), ids({2}), zeros({3, 4}));
       }},
      {shape, "TransformerDecoder::decode", "3 rows are no multiple of 2",
       [&] {
         looker(pictures, ids({3, 4}));
       }},
      {shape, "ImageEncoder", "[B, 3, 4, 4], got [2, 3, 4, 5]",
       [&] {
         looker.encode(zeros({2, 3, 4, 5}));
       }},
      {usage, "ImageEncoder::words_of", "no head",
       [&] {
         looker.encoder.words_of(zeros({1, 4, 4}));
       }},
      {shape, "GroupNorm", "got [2, 8, 4]",
       [] {
         GroupNorm(2, 8)(zeros({2, 8, 4}));
       }},
      {shape, "LayerNorm2d", "got [2, 4, 4, 8]",
       [] {
         LayerNorm2d(8)(zeros({2, 4, 4, 8}));
       }},
      {shape, "SpeechTransformer", "lengths int32 [2]",
       [&] {
         speech.encode(zeros({2, 8, 4}), ids({3}));
       }},
      {type, "SpeechTransformer", "got float32 [2]",
       [&] {
         speech.encode(zeros({2, 8, 4}), zeros({2}));
       }},
      {shape, "SpeechTransformer", "[B, T, F]",
       [&] {
         speech.encode(zeros({2, 8, 9}), ids({2}));
       }},
      {shape, "attention", "[2, 2, 3, 2] and [1, 2, 3, 2]",
       [&] {
         layer(zeros({2, 3, 4}), zeros({1, 3, 4}));
       }},
      {shape, "attention", "[2, 2, 3, 2] and [1, 2, 3, 2]",
       [&] {
         decoder(zeros({2, 3, 4}), zeros({1, 3, 4}), {}, {});
       }},
      {shape, "additive_attention", "[1, 4]",
       [&] {
         memory_of_two(as_var(zeros({1, 4})));
       }},
      {shape, "attention", "[1, 1, 1, 4]",
       [&] {
         dot(zeros({1, 4}), zeros({2, 3, 4}), zeros({2, 3, 4}));
       }},
      {shape, "gru_cell", "[1, 3] and [2, 4]",
       [&] {
         GRUCell(3, 4, key)(zeros({1, 3}), zeros({2, 4}));
       }},
      {shape, "lstm_cell", "[1, 3] and [2, 4]",
       [&] {
         LSTMCell(3, 4, key)(zeros({1, 3}), {as_var(zeros({2, 4})), as_var(zeros({2, 4}))});
       }},
      {shape, "gru_sequence", "[2]",
       [&] {
         GRU(3, 4, key)(zeros({2, 5, 3}), as_var(ids({3})));
       }},
      {shape, "GRU", "one step",
       [&] {
         GRU(3, 4, key)(zeros({2, 0, 3}));
       }},
      {shape, "start", "int32 [3]", [&] { (void)start(gru, ids({3})); }, false},
      {type, "start", "float32 [2, 3]",
       [&] {
         (void)start(transformer, zeros({2, 3}));
       },
       false},
      {usage, "start", "empty", [&] { (void)start(transformer, Tensor()); }, false},
      {shape, "start", "int32 [3]", [&] { (void)greedy(gru, ids({3})); }, false},
      {usage, "start", "texts is -1", [&] { (void)start(gpt, -1); }, false},
      {shape, "start", "3 sentences, the encoder gives [2, 4]",
       [&] { (void)start(gru, 3, [&] {
               return gru.encode(ids({2, 3}));
             }); }, false},
      {shape, "start", "1 sentences, the encoder gives [2, 3, 4]",
       [&] { (void)start(transformer, 1, [&] {
               return transformer.encode(ids({2, 3}));
             }); },
       false},
      {usage, "ensemble", "no members", [] { (void)ensemble({}); }, false},
      {type, "ctc_greedy", "got int32 [2, 4, 3]",
       [] {
         (void)ctc_greedy(ids({2, 4, 3}), ids({2}));
       },
       false},
      {shape, "ctc_greedy", "int32 [3]", [&] { (void)ctc_greedy(log_p, ids({3})); }, false},
      {usage, "ctc_greedy", "blank 3", [&] { (void)ctc_greedy(log_p, ids({2}), 3); }, false},
  });
}

TEST_CASE("wrong calls of optimizers") {
  const Parameter p(zeros({2})), whole(ids({2}));
  check({
      {usage, "Optimizer", "no value", [] { Adam({Parameter()}); }, false},
      {type, "Optimizer", "int32", [&] { Adam({whole}); }, false},
      {usage, "Optimizer", "twice",
       [&] {
         Adam({p, p});
       },
       false},
      {usage, "Optimizer::lr", "-1", [&] { Sgd({p}).lr(-1); }},
      {usage, "step", "depends on none", [&] { Sgd({p}).step(sum(zeros({2}))); }},
      {type, "ExponentialMovingAverage", "int32", [&] { ExponentialMovingAverage({whole}); },
       false},
  });
}

TEST_CASE("wrong calls of the executor") {
  Tape outer;
  const Var first = as_var(zeros({2}));
  Executor executor;
  check({
      {usage, "run", "different tapes",
       [&] {
         executor.run({first, exp(zeros({2}))});
       },
       false},
      {usage, "plan", "nothing to compute", [&] { (void)executor.plan({}); }, false},
  });
}

}  // namespace rapt
