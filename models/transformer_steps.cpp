#include "models/transformer_steps.hpp"

#include <cmath>

#include "framework/core/options.hpp"
#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "models/decoding/growing_cache.hpp"
#include "ops/elementwise/elementwise.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

template <class Layer>
GrowingCache cache_of(const std::vector<Layer>& layers) {
  if (layers.empty()) return GrowingCache(0, 1, 0);
  const MultiHeadAttention& first = layers.front().self_attention;
  return GrowingCache(static_cast<int64_t>(layers.size()), first.key_heads, first.depth());
}

/// Decodes with a TransformerDecoder. The keys and values of the memory are computed once.
class TransformerSteps : public StepModel {
 public:
  TransformerSteps(const TransformerDecoder& model, int64_t sentences,
                   FunctionRef<TransformerDecoder::Encoded()> encode)
      : model_(model), sentences_(sentences), cache_(cache_of(model.decoder)) {
    if (sentences_ == 0) return;
    const Tape tape;
    const TransformerDecoder::Encoded encoded = encode();
    check_encoded(encoded.memory, sentences_);
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
  std::vector<KeyValueCache> memory_;  // one entry per layer: [B, S, H, D]
  GrowingCache cache_;
};

class GptSteps : public StepModel {
 public:
  GptSteps(const Gpt& model, int64_t texts)
      : model_(model), texts_(texts), cache_(cache_of(model.layers)) {
    check_at_least("start", "texts", texts, 0);
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

}  // namespace v0
}  // namespace rapt
