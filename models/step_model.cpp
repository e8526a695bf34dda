#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <rapt/framework/error.hpp>
#include <rapt/framework/executor.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/models/step_model.hpp>
#include <rapt/ops/elementwise.hpp>
#include <rapt/ops/gather.hpp>
#include <rapt/ops/reduce.hpp>
#include <rapt/ops/shape.hpp>
#include <rapt/ops/softmax.hpp>

namespace rapt {
namespace {

Var int_leaf(const std::vector<int32_t>& values) {
  return as_var(tensor(values, {static_cast<int64_t>(values.size())}));
}

/// The memory [T, N, ..] with its first places in a larger one.
Tensor grown(const Tensor& from, int64_t used, const Shape& shape) {
  Tensor to(shape);
  if (!from || used == 0) return to;
  const auto width = static_cast<size_t>(from.shape()[2] * from.shape()[3]) * sizeof(float);
  const auto old_rows = static_cast<size_t>(from.shape()[1]);
  const auto new_rows = static_cast<size_t>(shape[1]);
  for (size_t t = 0; t < static_cast<size_t>(used); ++t) {
    std::memcpy(static_cast<std::byte*>(to.bytes()) + t * new_rows * width,
                static_cast<std::byte*>(from.bytes()) + t * old_rows * width, old_rows * width);
  }
  return to;
}

}  // namespace

// ---- the cache ----------------------------------------------------------------------------------

GrowingCache::GrowingCache(int64_t layers, int64_t heads, int64_t depth)
    : heads_(heads), depth_(depth), layers_(static_cast<size_t>(layers)) {}

void GrowingCache::grow(int64_t steps, int64_t rows) {
  const Shape shape{steps, rows, heads_, depth_};
  for (KeyValueCache& layer : layers_) {
    layer.keys = grown(layer.keys, steps_, shape);
    layer.values = grown(layer.values, steps_, shape);
  }
  most_steps_ = steps;
  most_rows_ = rows;
}

void GrowingCache::advance(int64_t rows, const std::vector<int32_t>& parents) {
  constexpr int64_t first_steps = 16;
  if (steps_ == most_steps_ || rows > most_rows_) {
    const int64_t more = std::max(first_steps, 2 * most_steps_);
    grow(steps_ == most_steps_ ? more : most_steps_, std::max(rows, most_rows_));
  }
  // A fresh table: the last one belongs to a tape that may still be there.
  Tensor table({rows, most_steps_}, DType::int32);
  int32_t* to = table.data<int32_t>().data();
  for (int64_t r = 0; r < rows; ++r, to += most_steps_) {
    std::fill(to, to + most_steps_, 0);
    if (steps_ > 0) {
      const int64_t width = ancestors_.shape()[1];
      const auto at = static_cast<size_t>(r);
      const int32_t parent = at < parents.size() ? parents[at] : -1;
      if (parent < 0 || parent >= ancestors_.shape()[0]) {
        throw Error(fmt::format("decoding: row {} continues row {} of {}", r, parent,
                                ancestors_.shape()[0]));
      }
      const int32_t* from = ancestors_.data<int32_t>().data() + parent * width;
      std::copy(from, from + steps_, to);
    }
    to[steps_] = static_cast<int32_t>(r);
  }
  ancestors_ = table;
  ++steps_;
}

CachePlace GrowingCache::place() const {
  return {as_var(ancestors_), int_leaf({static_cast<int32_t>(steps_ - 1)})};
}

// ---- models -------------------------------------------------------------------------------------

int64_t checked_sentences(const Tensor& source) {
  if (!source || source.shape().rank() != 2 || source.dtype() != DType::int32) {
    throw Error(fmt::format("decoding: expected a source int32 [B, S], got {} {}",
                            source ? name(source.dtype()) : "an empty tensor",
                            source ? to_string(source.shape()) : ""));
  }
  return source.shape()[0];
}

namespace {

template <class Layer>
GrowingCache cache_of(const std::vector<Layer>& layers) {
  if (layers.empty()) return GrowingCache(0, 1, 0);
  const MultiHeadAttention& first = layers.front().self_attention;
  return GrowingCache(static_cast<int64_t>(layers.size()), first.key_heads, first.depth());
}

/// Writes over a memory that is read once.
class TransformerSteps : public StepModel {
 public:
  TransformerSteps(const TransformerDecoder& model, int64_t sentences,
                   FunctionRef<TransformerDecoder::Encoded()> encode)
      : model_(model), sentences_(sentences), cache_(cache_of(model.decoder)) {
    if (sentences_ == 0) return;
    const Tape tape;
    const TransformerDecoder::Encoded encoded = encode();
    std::vector<Var> wanted;
    for (const DecoderLayer& layer : model.decoder) {
      for (const Var& part : layer.cross_attention.keys_values(encoded.memory)) {
        wanted.push_back(part);
      }
    }
    if (!encoded.lengths.is_empty()) wanted.push_back(encoded.lengths);
    Executor::current().run(wanted);
    lengths_ =
        encoded.lengths.is_empty()
            ? tensor(std::vector<int64_t>(static_cast<size_t>(sentences), encoded.memory.size(1)),
                     {sentences})
            : encoded.lengths.value();
    for (size_t i = 0; i < 2 * model.decoder.size(); i += 2) {
      memory_.push_back({wanted[i].value().clone(), wanted[i + 1].value().clone()});
    }
  }

  int64_t sentences() const override { return sentences_; }
  int64_t source_length(int64_t i) const override {
    return lengths_.data<int32_t>()[static_cast<size_t>(i)];
  }
  int64_t most_steps() const override { return model_.target_positions.length(); }

  StepOutput step(const StepInput& input) override {
    cache_.advance(input.rows(), input.parents);
    const CachePlace place = cache_.place();
    const Var sentences = int_leaf(input.sentences), lengths = as_var(lengths_);
    const double scale = std::sqrt(static_cast<double>(model_.target_embedding.width()));
    const Var embedded = model_.target_embedding(int_leaf(input.tokens)) * scale;
    Var x = model_.target_positions.at(embedded, place.place);  // [R, C]
    for (size_t i = 0; i < model_.decoder.size(); ++i) {
      const DecoderLayer& layer = model_.decoder[i];
      const SharedMemory memory{as_var(memory_[i].keys), as_var(memory_[i].values), sentences,
                                lengths};
      x = layer.with(
          x, [&](const Var& y) { return layer.self_attention.step(y, cache_[i], place); },
          [&](const Var& y) { return layer.cross_attention.step(y, memory); });
    }
    return {model_.output(model_.decoder_norm(x))};
  }

 private:
  const TransformerDecoder& model_;
  int64_t sentences_;
  Tensor lengths_;                     // int32 [B]
  std::vector<KeyValueCache> memory_;  // a layer each: [B, S, H, D]
  GrowingCache cache_;
};

class GptSteps : public StepModel {
 public:
  GptSteps(const Gpt& model, int64_t texts)
      : model_(model), texts_(texts), cache_(cache_of(model.layers)) {
    if (texts < 0) throw Error(fmt::format("decoding: {} texts were asked for", texts));
  }

  int64_t sentences() const override { return texts_; }
  int64_t most_steps() const override { return model_.max_length(); }

  StepOutput step(const StepInput& input) override {
    cache_.advance(input.rows(), input.parents);
    const CachePlace place = cache_.place();
    Var x = model_.positions.at(model_.embedding(int_leaf(input.tokens)), place.place);  // [R, C]
    for (size_t i = 0; i < model_.layers.size(); ++i) {
      const EncoderLayer& layer = model_.layers[i];
      x = layer.with(x,
                     [&](const Var& y) { return layer.self_attention.step(y, cache_[i], place); });
    }
    return {model_.output(model_.norm(x))};
  }

 private:
  const Gpt& model_;
  int64_t texts_;
  GrowingCache cache_;
};

}  // namespace

std::unique_ptr<StepModel> start(const Transformer& model, const Tensor& source) {
  return start(model, checked_sentences(source), [&] { return model.encode(source); });
}

std::unique_ptr<StepModel> start(const TransformerDecoder& model, int64_t sentences,
                                 FunctionRef<TransformerDecoder::Encoded()> encode) {
  return std::make_unique<TransformerSteps>(model, sentences, encode);
}

std::unique_ptr<StepModel> start(const Gpt& model, int64_t texts) {
  return std::make_unique<GptSteps>(model, texts);
}

// ---- running ------------------------------------------------------------------------------------

std::vector<Tensor> Stepper::step(
    StepInput input, const std::function<std::vector<Var>(const Var& scores)>& choose) {
  const Tape tape;
  if (!states_.empty()) {
    const Var order = int_leaf(input.parents);
    for (const Tensor& state : states_) input.states.push_back(take(state, order, 0));
  }
  const StepOutput output = model_.step(input);
  const Shape shape = output.scores.shape();
  if (shape.rank() != 2 || shape[0] != input.rows()) {
    throw Error(fmt::format("decoding: the model gave scores {} for {} rows", to_string(shape),
                            input.rows()));
  }
  const std::vector<Var> chosen = choose(output.scores);
  std::vector<Var> wanted = chosen;
  wanted.insert(wanted.end(), output.states.begin(), output.states.end());
  Executor::current().run(wanted);
  states_.clear();
  for (const Var& state : output.states) states_.push_back(state.value());
  std::vector<Tensor> values;
  for (const Var& var : chosen) values.push_back(var.value());
  return values;
}

}  // namespace rapt
