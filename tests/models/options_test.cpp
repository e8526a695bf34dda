// Options out of range: every options struct names the option, its value, and what is allowed.
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "framework/core/error.hpp"
#include "framework/files/checkpoint_folder.hpp"
#include "framework/run/executor.hpp"
#include "models/captioner.hpp"
#include "models/decoding/ctc_decoding.hpp"
#include "models/decoding/sampling.hpp"
#include "models/greedy.hpp"
#include "models/gru_steps.hpp"
#include "models/layers/recurrent.hpp"
#include "models/speech_transformer.hpp"
#include "models/transformer_steps.hpp"
#include "ops/autodiff/check_gradient.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "optim/ema.hpp"
#include "optim/optimizer.hpp"
#include "optim/schedule.hpp"
#include "tests/support/catch.hpp"

namespace rapt {
namespace {

struct WrongOption {
  std::string op;
  std::string text;  // of the message, after "op: "
  std::function<void()> use;
};

void check(const std::vector<WrongOption>& options) {
  for (const WrongOption& wrong : options) {
    INFO(wrong.op << ": " << wrong.text);
    try {
      wrong.use();
      FAIL_CHECK("nothing was thrown");
    } catch (const Error& error) {
      INFO(error.what());
      CHECK(error.kind() == ErrorKind::usage);
      CHECK(error.op() == wrong.op);
      CHECK(error.detail() == wrong.text);
    }
  }
}

const Key key{1};
const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();

/// Makes an object of type Made from options that `change` alters.
template <class Made, class Options>
std::function<void()> with(const Options& right, const std::function<void(Options&)>& change) {
  return [=] {
    Options wrong = right;
    change(wrong);
    Made(wrong, key);
  };
}

const Seq2SeqOptions gru{.source_vocab = 5, .target_vocab = 5, .embed = 3, .hidden = 4};
const TransformerOptions transformer{
    .source_vocab = 5, .target_vocab = 5, .width = 4, .heads = 2, .feed_forward = 4};
const TransformerDecoderOptions decoder{.vocab = 5, .width = 4, .heads = 2, .feed_forward = 4};
const GptOptions gpt{.vocab = 5, .width = 4, .heads = 2};
const SpeechTransformerOptions speech{.vocab = 5, .width = 4, .heads = 2, .feed_forward = 4};
const ImageEncoderOptions image{.height = 4, .width = 4, .stages = {{8}}, .memory = 4};
const GruCaptionerOptions captioner{.image = image, .vocab = 5, .embed = 3, .hidden = 4};
const AttentiveGruOptions attentive{.vocab = 5, .memory = 4, .embed = 3, .hidden = 4};

}  // namespace

TEST_CASE("the options of the tests below are allowed, but for the one that is changed") {
  CHECK_NOTHROW(GruSeq2Seq(gru, key));
  CHECK_NOTHROW(Transformer(transformer, key));
  CHECK_NOTHROW(TransformerDecoder(decoder, key));
  CHECK_NOTHROW(Gpt(gpt, key));
  CHECK_NOTHROW(SpeechTransformer(speech, key));
  CHECK_NOTHROW(ImageEncoder(image, key));
  CHECK_NOTHROW(GruCaptioner(captioner, key));
  CHECK_NOTHROW(AttentiveGru(attentive, key));
}

TEST_CASE("models: options out of range") {
  using G = Seq2SeqOptions;
  using T = TransformerOptions;
  using D = TransformerDecoderOptions;
  using P = GptOptions;
  using S = SpeechTransformerOptions;
  using I = ImageEncoderOptions;
  using C = GruCaptionerOptions;
  using A = AttentiveGruOptions;
  const auto of_gru = [](auto change) { return with<GruSeq2Seq, G>(gru, change); };
  const auto of_transformer = [](auto change) { return with<Transformer, T>(transformer, change); };
  const auto of_decoder = [](auto change) { return with<TransformerDecoder, D>(decoder, change); };
  const auto of_gpt = [](auto change) { return with<Gpt, P>(gpt, change); };
  const auto of_speech = [](auto change) { return with<SpeechTransformer, S>(speech, change); };
  const auto of_image = [](auto change) { return with<ImageEncoder, I>(image, change); };
  const auto of_captioner = [](auto change) { return with<GruCaptioner, C>(captioner, change); };
  const auto of_attentive = [](auto change) { return with<AttentiveGru, A>(attentive, change); };
  check({
      {"GruSeq2Seq", "source_vocab is 0, expected 1 or more",
       of_gru([](G& o) { o.source_vocab = 0; })},
      {"GruSeq2Seq", "target_vocab is -5, expected 1 or more",
       of_gru([](G& o) { o.target_vocab = -5; })},
      {"GruSeq2Seq", "embed is 0, expected 1 or more", of_gru([](G& o) { o.embed = 0; })},
      {"GruSeq2Seq", "hidden is -1, expected 1 or more", of_gru([](G& o) { o.hidden = -1; })},
      {"GruSeq2Seq", "readout is -1, expected 0 or more", of_gru([](G& o) { o.readout = -1; })},
      {"GruSeq2Seq", "dropout is 1.5, expected a number in [0, 1]",
       of_gru([](G& o) { o.dropout = 1.5; })},
      {"AttentiveGru", "vocab is 0, expected 1 or more", of_attentive([](A& o) { o.vocab = 0; })},
      {"AttentiveGru", "memory is 0, expected 1 or more", of_attentive([](A& o) { o.memory = 0; })},
      {"AttentiveGru", "embed is 0, expected 1 or more", of_attentive([](A& o) { o.embed = 0; })},
      {"AttentiveGru", "hidden is 0, expected 1 or more", of_attentive([](A& o) { o.hidden = 0; })},
      {"AttentiveGru", "readout is -2, expected 0 or more",
       of_attentive([](A& o) { o.readout = -2; })},
      {"AttentiveGru", "dropout is nan, expected a number in [0, 1]",
       of_attentive([](A& o) { o.dropout = nan; })},
      {"Transformer", "source_vocab is 0, expected 1 or more",
       of_transformer([](T& o) { o.source_vocab = 0; })},
      {"Transformer", "target_vocab is 0, expected 1 or more",
       of_transformer([](T& o) { o.target_vocab = 0; })},
      {"Transformer", "width is 0, expected 1 or more", of_transformer([](T& o) { o.width = 0; })},
      {"Transformer", "heads is 0, expected 1 or more", of_transformer([](T& o) { o.heads = 0; })},
      {"Transformer", "3 heads do not divide a width of 4",
       of_transformer([](T& o) { o.heads = 3; })},
      {"Transformer", "key_heads is -1, expected 0 or more",
       of_transformer([](T& o) { o.key_heads = -1; })},
      {"Transformer", "2 heads cannot share 3 of keys and values",
       of_transformer([](T& o) { o.key_heads = 3; })},
      {"Transformer", "encoder_layers is -1, expected 0 or more",
       of_transformer([](T& o) { o.encoder_layers = -1; })},
      {"Transformer", "decoder_layers is -1, expected 0 or more",
       of_transformer([](T& o) { o.decoder_layers = -1; })},
      {"Transformer", "feed_forward is 0, expected 1 or more",
       of_transformer([](T& o) { o.feed_forward = 0; })},
      {"Transformer", "max_length is 0, expected 1 or more",
       of_transformer([](T& o) { o.max_length = 0; })},
      {"Transformer", "dropout is -0.1, expected a number in [0, 1]",
       of_transformer([](T& o) { o.dropout = -0.1; })},
      {"Transformer", "rotary positions need an even width of a head, got 4 / 4",
       of_transformer([](T& o) {
         o.heads = 4;
         o.positions = PositionKind::rotary;
       })},
      {"Transformer", "Tying::all needs one vocabulary, got 5 and 6 words",
       of_transformer([](T& o) {
         o.target_vocab = 6;
         o.tying = Tying::all;
       })},
      {"TransformerDecoder", "vocab is 0, expected 1 or more",
       of_decoder([](D& o) { o.vocab = 0; })},
      {"TransformerDecoder", "layers is -1, expected 0 or more",
       of_decoder([](D& o) { o.layers = -1; })},
      {"TransformerDecoder", "feed_forward is -4, expected 1 or more",
       of_decoder([](D& o) { o.feed_forward = -4; })},
      {"TransformerDecoder", "heads is -2, expected 1 or more",
       of_decoder([](D& o) { o.heads = -2; })},
      {"Gpt", "vocab is 0, expected 1 or more", of_gpt([](P& o) { o.vocab = 0; })},
      {"Gpt", "width is -4, expected 1 or more", of_gpt([](P& o) { o.width = -4; })},
      {"Gpt", "heads is 0, expected 1 or more", of_gpt([](P& o) { o.heads = 0; })},
      {"Gpt", "layers is -1, expected 0 or more", of_gpt([](P& o) { o.layers = -1; })},
      {"Gpt", "feed_forward is -1, expected 0 or more", of_gpt([](P& o) { o.feed_forward = -1; })},
      {"Gpt", "max_length is 0, expected 1 or more", of_gpt([](P& o) { o.max_length = 0; })},
      {"Gpt", "dropout is 1.5, expected a number in [0, 1]", of_gpt([](P& o) { o.dropout = 1.5; })},
      {"SpeechTransformer", "features is 0, expected 1 or more",
       of_speech([](S& o) { o.features = 0; })},
      {"SpeechTransformer", "vocab is 0, expected 1 or more", of_speech([](S& o) { o.vocab = 0; })},
      {"SpeechTransformer", "channels is 0, expected 1 or more",
       of_speech([](S& o) { o.channels = 0; })},
      {"SpeechTransformer", "width is 0, expected 1 or more", of_speech([](S& o) { o.width = 0; })},
      {"SpeechTransformer", "heads is 0, expected 1 or more", of_speech([](S& o) { o.heads = 0; })},
      {"SpeechTransformer", "encoder_layers is -1, expected 0 or more",
       of_speech([](S& o) { o.encoder_layers = -1; })},
      {"SpeechTransformer", "decoder_layers is -1, expected 0 or more",
       of_speech([](S& o) { o.decoder_layers = -1; })},
      {"SpeechTransformer", "feed_forward is 0, expected 1 or more",
       of_speech([](S& o) { o.feed_forward = 0; })},
      {"SpeechTransformer", "max_frames is 0, expected 1 or more",
       of_speech([](S& o) { o.max_frames = 0; })},
      {"SpeechTransformer", "max_length is 0, expected 1 or more",
       of_speech([](S& o) { o.max_length = 0; })},
      {"SpeechTransformer", "dropout is 2, expected a number in [0, 1]",
       of_speech([](S& o) { o.dropout = 2; })},
      {"ImageEncoder", "height is 0, expected 1 or more", of_image([](I& o) { o.height = 0; })},
      {"ImageEncoder", "width is 0, expected 1 or more", of_image([](I& o) { o.width = 0; })},
      {"ImageEncoder", "stages has 0 stages, expected 1 or more",
       of_image([](I& o) { o.stages.clear(); })},
      {"ImageEncoder", "stages: channels is 0, expected 1 or more",
       of_image([](I& o) { o.stages = {{0}}; })},
      {"ImageEncoder", "stages: blocks is -1, expected 0 or more", of_image([](I& o) {
         o.stages = {{8, -1}};
       })},
      {"ImageEncoder", "groups is -1, expected 0 or more", of_image([](I& o) { o.groups = -1; })},
      {"ImageEncoder", "memory is 0, expected 1 or more", of_image([](I& o) { o.memory = 0; })},
      {"ImageEncoder", "words is -1, expected 0 or more", of_image([](I& o) { o.words = -1; })},
      {"ImageEncoder", "dropout is 1.5, expected a number in [0, 1]",
       of_image([](I& o) { o.dropout = 1.5; })},
      {"GruCaptioner", "vocab is 0, expected 1 or more", of_captioner([](C& o) { o.vocab = 0; })},
      {"GruCaptioner", "embed is 0, expected 1 or more", of_captioner([](C& o) { o.embed = 0; })},
      {"GruCaptioner", "hidden is 0, expected 1 or more", of_captioner([](C& o) { o.hidden = 0; })},
      {"GruCaptioner", "readout is -1, expected 0 or more",
       of_captioner([](C& o) { o.readout = -1; })},
      {"GruCaptioner", "image.memory is 0, expected 1 or more",
       of_captioner([](C& o) { o.image.memory = 0; })},
  });
}

TEST_CASE("layers: options out of range") {
  check({
      {"Linear", "in is 0, expected 1 or more", [] { Linear(0, 2, key); }},
      {"Linear", "out is -2, expected 1 or more", [] { Linear(2, -2, key); }},
      {"Embedding", "count is 0, expected 1 or more", [] { Embedding(0, 2, key); }},
      {"Embedding", "width is 0, expected 1 or more", [] { Embedding(2, 0, key); }},
      {"Embedding", "stddev is -1, expected a finite number of 0 or more",
       [] { Embedding(2, 2, key, {.stddev = -1}); }},
      {"LayerNorm", "width is 0, expected 1 or more", [] { LayerNorm(0); }},
      {"RMSNorm", "width is -1, expected 1 or more", [] { RMSNorm(-1); }},
      {"GroupNorm", "groups is 0, expected 1 or more", [] { GroupNorm(0, 4); }},
      {"GroupNorm", "3 groups do not divide 4 channels", [] { GroupNorm(3, 4); }},
      {"LayerNorm2d", "channels is 0, expected 1 or more", [] { LayerNorm2d(0); }},
      {"Conv1d", "kernel is 0, expected 1 or more", [] { Conv1d(2, 2, 0, key); }},
      {"Conv1d", "stride is 0, expected 1 or more", [] { Conv1d(2, 2, 3, key, {.stride = 0}); }},
      {"Conv1d", "padding is -1, expected 0 or more",
       [] { Conv1d(2, 2, 3, key, {.padding = -1}); }},
      {"Conv1d", "dilation is 0, expected 1 or more",
       [] { Conv1d(2, 2, 3, key, {.dilation = 0}); }},
      {"Conv1d", "groups is 0, expected 1 or more", [] { Conv1d(2, 2, 3, key, {.groups = 0}); }},
      {"Conv2d", "3 groups do not divide 2 channels in and 2 out",
       [] { Conv2d(2, 2, 3, key, {.groups = 3}); }},
      {"Conv2d", "in is 0, expected 1 or more", [] { Conv2d(0, 2, 3, key); }},
      {"GRU", "hidden is 0, expected 1 or more", [] { GRU(2, 0, key); }},
      {"GRU", "layers is 0, expected 1 or more", [] { GRU(2, 2, key, {.layers = 0}); }},
      {"LSTM", "layers is -1, expected 1 or more", [] { LSTM(2, 2, key, {.layers = -1}); }},
      {"LSTM", "dropout is 1.5, expected a number in [0, 1]",
       [] { LSTM(2, 2, key, {.dropout = 1.5}); }},
      {"RecurrentWeights", "in is 0, expected 1 or more", [] { GRUCell(0, 2, key); }},
      {"MultiHeadAttention", "width is 0, expected 1 or more",
       [] { MultiHeadAttention(0, 2, key); }},
      {"MultiHeadAttention", "heads is 0, expected 1 or more",
       [] { MultiHeadAttention(4, 0, key); }},
      {"MultiHeadAttention", "key_heads is -1, expected 0 or more",
       [] { MultiHeadAttention(4, 2, key, {.key_heads = -1}); }},
      {"MultiHeadAttention", "dropout is -1, expected a number in [0, 1]",
       [] { MultiHeadAttention(4, 2, key, {.dropout = -1}); }},
      {"FeedForward", "inner is 0, expected 1 or more", [] { FeedForward(4, 0, key); }},
      {"FeedForward", "dropout is 1.5, expected a number in [0, 1]",
       [] { FeedForward(4, 4, key, {.dropout = 1.5}); }},
      {"FeedForward", "inner is -1, expected 1 or more",
       [] { EncoderLayer({.width = 4, .heads = 2, .feed_forward = -1}, key); }},
      {"Positions", "length is 0, expected 1 or more",
       [] { Positions(PositionKind::learned, 0, 4, key); }},
      {"RelativePositions", "heads is 0, expected 1 or more",
       [] { RelativePositions({.kind = PositionKind::t5, .heads = 0}); }},
      {"RelativePositions", "depth is 0, expected 1 or more",
       [] { RelativePositions({.kind = PositionKind::rotary}); }},
      {"RelativePositions", "length is -1, expected 1 or more",
       [] { RelativePositions({.kind = PositionKind::rotary, .depth = 2, .length = -1}); }},
      {"alibi_slopes", "there are no -1 heads", [] { (void)score::alibi_slopes(-1); }},
  });
}

TEST_CASE("decoding: options out of range") {
  const Gpt model(gpt, key);
  const GruSeq2Seq translator(gru, key);
  const Tensor log_p = zeros({1, 4, 3}), lengths = full({1}, 4, DType::int32);
  const auto search = [&](const BeamOptions& o) { return [&, o] { beam_search(model, 1, o); }; };
  const auto draw = [&](const SamplingOptions& o) { return [&, o] { sample(model, 1, o); }; };
  check({
      {"beam_search", "beam is 0, expected 1 or more", search({.beam = 0})},
      {"beam_search", "best is 0, expected 1 or more", search({.best = 0})},
      {"beam_search", "expected 1 <= best <= beam, got best 3 and beam 2",
       search({.beam = 2, .best = 3})},
      {"beam_search", "alpha is -1, expected a finite number of 0 or more", search({.alpha = -1})},
      {"beam_search", "length_factor is -1, expected a finite number of 0 or more",
       search({.length_factor = -1})},
      {"beam_search", "length_extra is -1, expected 0 or more", search({.length_extra = -1})},
      {"beam_search", "max_length is -1, expected 0 or more", search({.max_length = -1})},
      {"beam_search", "min_length is -1, expected 0 or more", search({.min_length = -1})},
      {"beam_search", "min_length 9 is above max_length 4",
       search({.max_length = 4, .min_length = 9})},
      {"sample", "samples is 0, expected 1 or more", draw({.key = key, .samples = 0})},
      {"sample", "temperature is 0, expected a finite number above 0",
       draw({.key = key, .temperature = 0})},
      {"sample", "temperature is inf, expected a finite number above 0",
       draw({.key = key, .temperature = infinity})},
      {"sample", "top_k is -1, expected 0 or more", draw({.key = key, .top_k = -1})},
      {"sample", "top_p is 0, expected a number in (0, 1]", draw({.key = key, .top_p = 0})},
      {"sample", "first_sentence is -1, expected 0 or more",
       draw({.key = key, .first_sentence = -1})},
      {"sample", "max_length is -1, expected 0 or more", draw({.key = key, .max_length = -1})},
      {"greedy", "max_length is -1, expected 0 or more",
       [&] {
         greedy(translator, full({1, 2}, 1, DType::int32), {.max_length = -1});
       }},
      {"ctc_beam_search", "beam is 0, expected 1 or more",
       [&] { ctc_beam_search(log_p, lengths, {.beam = 0}); }},
      {"ctc_beam_search", "best is -1, expected 1 or more",
       [&] { ctc_beam_search(log_p, lengths, {.best = -1}); }},
      {"ctc_beam_search", "the blank -1 is none of the 3 classes",
       [&] { ctc_beam_search(log_p, lengths, {.blank = -1}); }},
      {"ctc_prefix_model",
       "expected an end mark among the 3 classes that is not the blank 0, got 9",
       [&] { (void)ctc_prefix_model(log_p, lengths, {.end = 9}); }},
      {"SpeechTransformer", "ctc_weight is 1.5, expected a number in [0, 1]",
       [&] {
         (void)start(SpeechTransformer(speech, key), zeros({1, 8, 40}), lengths, 1.5, 3);
       }},
  });
}

TEST_CASE("optimizers and schedules: options out of range") {
  const Parameter p(zeros({2}));
  const std::vector<ParameterGroup> wrong_rate{{.parameters = {p}, .lr_factor = -1}};
  const std::vector<ParameterGroup> wrong_decay{{.parameters = {p}, .decay_factor = nan}};
  const std::string finite = ", expected a finite number of 0 or more";
  const std::string updates = ", expected 0 or more";
  check({
      {"Optimizer", "lr (the learning rate) is -1" + finite, [&] { Sgd({p}, {.lr = -1}); }},
      {"Optimizer", "clip_norm is -1, expected 0 or more", [&] { Adam({p}, {.clip_norm = -1}); }},
      {"Optimizer", "lr_factor of group 0 is -1" + finite, [&] { Sgd{wrong_rate}; }},
      {"Optimizer", "decay_factor of group 0 is nan" + finite, [&] { Sgd{wrong_decay}; }},
      {"Sgd", "momentum is -1" + finite, [&] { Sgd({p}, {.momentum = -1}); }},
      {"Sgd", "weight_decay is inf" + finite, [&] { Sgd({p}, {.weight_decay = infinity}); }},
      {"Adam", "beta1 is 1, expected a number in [0, 1)", [&] { Adam({p}, {.beta1 = 1}); }},
      {"AdamW", "beta2 is -0.5, expected a number in [0, 1)", [&] { AdamW({p}, {.beta2 = -0.5}); }},
      {"Adam", "eps is -1" + finite, [&] { Adam({p}, {.eps = -1}); }},
      {"AdamW", "weight_decay is -1" + finite, [&] { AdamW({p}, {.weight_decay = -1}); }},
      {"ExponentialMovingAverage", "decay is 1.5, expected a number in [0, 1]",
       [&] { ExponentialMovingAverage({p}, 1.5); }},
      {"schedules::constant", "rate is -1.000000" + finite, [] { schedules::constant(-1); }},
      {"schedules::warmup_inverse_sqrt", "warmup is -1" + updates,
       [] { schedules::warmup_inverse_sqrt(1, -1); }},
      {"schedules::cosine", "warmup is -1" + updates, [] { schedules::cosine(1, -1, 5); }},
      {"schedules::cosine", "total is -1" + updates, [] { schedules::cosine(1, 1, -1); }},
      {"schedules::step_decay", "every is 0, expected 1 or more",
       [] { schedules::step_decay(1, 0, 0.5); }},
  });
}

TEST_CASE("executors, checkpoints and gradient checks: options out of range") {
  const auto same = [](std::span<const Var> x) { return x[0]; };
  const std::vector<InputSpec> inputs{{Shape{2}}};
  check({
      {"Executor", "threads is -1, expected 0 or more", [] { Executor({.threads = -1}); }},
      {"Executor", "plan_capacity is -1, expected 0 or more",
       [] { Executor({.plan_capacity = -1}); }},
      {"Executor", "parallel_from is nan, expected a number",
       [] { Executor({.parallel_from = nan}); }},
      {"CheckpointFolder", "0 are to be kept, less than 1", [] { CheckpointFolder("x", 0); }},
      {"check_gradient", "atol is -1, expected a finite number of 0 or more",
       [&] { check_gradient(same, inputs, {.atol = -1}); }},
      {"check_gradient", "rtol is nan, expected a finite number of 0 or more",
       [&] { check_gradient(same, inputs, {.rtol = nan}); }},
  });
}

}  // namespace rapt
