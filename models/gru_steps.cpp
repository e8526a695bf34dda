#include "models/gru_steps.hpp"

#include <algorithm>
#include <cstring>

#include "framework/graph/tape.hpp"
#include "framework/run/executor.hpp"
#include "ops/shape/gather.hpp"

namespace rapt {
inline namespace v0 RAPT_API {
namespace {

/// Gathers the slices of the first axis with the given indices.
Tensor picked(const Tensor& from, const std::vector<int32_t>& numbers) {
  Shape shape = from.shape();
  shape[0] = static_cast<int64_t>(numbers.size());
  Tensor to(shape, from.dtype());
  const int64_t whole = from.size() * size_of(from.dtype());
  const auto bytes = static_cast<size_t>(whole / std::max<int64_t>(from.shape()[0], 1));
  auto* at = static_cast<std::byte*>(to.bytes());
  for (const int32_t number : numbers) {
    std::memcpy(at,
                static_cast<const std::byte*>(from.bytes()) + static_cast<size_t>(number) * bytes,
                bytes);
    at += bytes;
  }
  return to;
}

/// Decodes with a GRU. States have one row per hypothesis; the encoder's output is stored once per
/// sentence.
class GruSteps : public StepModel {
 public:
  GruSteps(const AttentiveGru& model, int64_t sentences,
           FunctionRef<AttentiveGru::Encoded()> encode)
      : model_(model), sentences_(sentences) {
    if (sentences_ == 0) return;
    const Tape tape;
    const AttentiveGru::Encoded encoded = encode();
    check_encoded(encoded.state, sentences_);
    std::vector<Var> wanted;
    const std::vector<Var> parts{encoded.memory, encoded.keys, encoded.context, encoded.state,
                                 encoded.lengths};
    for (const Var& part : parts) {
      if (!part.is_empty()) wanted.push_back(part);
    }
    Executor::current().run(wanted);
    for (const Var& part : parts) all_.push_back(part.is_empty() ? Tensor() : part.value().clone());
    for (int32_t i = 0; i < sentences_; ++i) left_sentences_.push_back(i);
    left_ = all_;
  }

  int64_t sentences() const override { return sentences_; }
  int64_t source_length(int64_t i) const override {
    return all_[4] ? all_[4].data<int32_t>()[static_cast<size_t>(i)] : 0;
  }

  StepOutput step(const StepInput& input) override {
    if (input.sentences != left_sentences_) {
      for (size_t i = 0; i < all_.size(); ++i) {
        if (all_[i]) left_[i] = picked(all_[i], input.sentences);
      }
      left_sentences_ = input.sentences;
    }
    const auto part = [&](size_t i) { return left_[i] ? as_var(left_[i]) : Var(); };
    const AttentiveGru::Encoded encoded{part(0), part(1), part(2), part(3), part(4)};
    Var state = encoded.state;
    if (!input.states.empty()) {
      state = input.states[0];
    } else if (input.width() != 1) {
      std::vector<int32_t> sentence;
      for (int64_t r = 0; r < input.rows(); ++r) {
        sentence.push_back(static_cast<int32_t>(r / input.width()));
      }
      state = take(state, tensor(sentence, {input.rows()}), 0);
    }
    const AttentiveGru::Step next =
        model_.step(encoded, tensor(input.tokens, {input.rows()}), state);
    return {next.logits, {next.state}};
  }

 private:
  const AttentiveGru& model_;
  int64_t sentences_;
  /// Memory, keys, context, first state and lengths: of the whole batch, and of the sentences left.
  std::vector<Tensor> all_, left_;
  std::vector<int32_t> left_sentences_;
};

}  // namespace

std::unique_ptr<StepModel> start(const GruSeq2Seq& model, const Tensor& source) {
  return start(model, checked_sentences(source), [&] { return model.encode(source); });
}

std::unique_ptr<StepModel> start(const AttentiveGru& model, int64_t sentences,
                                 FunctionRef<AttentiveGru::Encoded()> encode) {
  return std::make_unique<GruSteps>(model, sentences, encode);
}

}  // namespace v0
}  // namespace rapt
