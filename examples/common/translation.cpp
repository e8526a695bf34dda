#include "translation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <rapt/framework/error.hpp>
#include <rapt/framework/executor.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/loss.hpp>
#include <rapt/ops/reduce.hpp>
#include <rapt/ops/shape.hpp>

namespace rapt::examples {

Net make_net(const NetOptions& options, Key key) {
  if (const auto* gru = std::get_if<Seq2SeqOptions>(&options)) return GruSeq2Seq(*gru, key);
  return Transformer(std::get<TransformerOptions>(options), key);
}

std::vector<Parameter> parameters_of(Net& net) {
  return std::visit([](auto& model) { return parameters(model); }, net);
}

PairSet encode_pairs(Corpus& corpus, const Tokenizer& source, const Tokenizer& target,
                     std::int64_t max_tokens, const std::string& from, const std::string& to,
                     SkipReport& skipped) {
  const std::string too_long = fmt::format("more than {} tokens", max_tokens);
  PairSet pairs;
  Corpus kept;
  for (std::size_t i = 0; i < corpus.size(); ++i) {
    std::vector<std::int32_t> x = source.encode(corpus.source[i]);
    std::vector<std::int32_t> y = target.encode(corpus.target[i]);
    if (std::cmp_greater(x.size(), max_tokens)) {
      skipped.add(too_long, from, corpus.line[i]);
    } else if (std::cmp_greater(y.size(), max_tokens)) {
      skipped.add(too_long, to, corpus.line[i]);
    } else if (x.empty() || y.empty()) {
      skipped.add("nothing that is a token", x.empty() ? from : to, corpus.line[i]);
    } else {
      kept.source.push_back(std::move(corpus.source[i]));
      kept.target.push_back(std::move(corpus.target[i]));
      kept.line.push_back(corpus.line[i]);
      pairs.source.push_back(std::move(x));
      pairs.target.push_back(std::move(y));
    }
  }
  corpus = std::move(kept);
  return pairs;
}

std::vector<PairLength> PairSet::lengths() const {
  std::vector<PairLength> lengths;
  for (std::size_t i = 0; i < size(); ++i) {
    lengths.push_back({static_cast<std::int32_t>(source[i].size()),
                       static_cast<std::int32_t>(target[i].size() + 1)});
  }
  return lengths;
}

Tensor pad_rows(std::span<const std::vector<std::int32_t>> rows) {
  std::size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row.size());
  Tensor result = full({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(width)},
                       Vocabulary::pad, DType::int32);
  const std::span<std::int32_t> values = result.data<std::int32_t>();
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::copy(rows[r].begin(), rows[r].end(),
              values.begin() + static_cast<std::ptrdiff_t>(r * width));
  }
  return result;
}

PairBatch make_batch(const PairSet& pairs, std::span<const std::int64_t> rows) {
  std::vector<std::vector<std::int32_t>> source, in, out;
  PairBatch batch;
  for (const std::int64_t row : rows) {
    const auto i = static_cast<std::size_t>(row);
    source.push_back(pairs.source[i]);
    in.push_back(pairs.target[i]);
    in.back().insert(in.back().begin(), Vocabulary::begin);
    out.push_back(pairs.target[i]);
    out.back().push_back(Vocabulary::end);
    batch.target_tokens += static_cast<std::int64_t>(out.back().size());
  }
  batch.source = pad_rows(source);
  batch.target_in = pad_rows(in);
  batch.target_out = pad_rows(out);
  return batch;
}

Var loss_of(const Net& net, const PairBatch& batch, double label_smoothing) {
  const Var logits = std::visit(
      [&](const auto& model) { return model(batch.source, batch.target_in); }, net);  // [B, T, V]
  return cross_entropy(logits, batch.target_out,
                       {.ignore = Vocabulary::pad, .label_smoothing = label_smoothing});
}

double mean_loss(const Net& net, const PairSet& pairs, const BatchLimits& limits) {
  const Batches batches = make_batches(pairs.lengths(), limits, 0, 0);
  double total = 0;
  std::int64_t tokens = 0;
  for (const auto& rows : batches.sentences) {
    const PairBatch batch = make_batch(pairs, rows);
    const Tape tape;
    total += loss_of(net, batch, 0).item() * static_cast<double>(batch.target_tokens);
    tokens += batch.target_tokens;
  }
  return total / static_cast<double>(tokens);
}

namespace {

/// Greedy decoding of a Transformer, the whole prefix at every step.
std::vector<Decoded> greedy(const Transformer& model, const Tensor& source,
                            const GreedyOptions& options) {
  const std::int64_t rows = source.shape()[0];
  std::vector<Decoded> decoded(static_cast<std::size_t>(rows));
  Tensor memory, lengths;
  {
    const Tape tape;
    const Transformer::Encoded encoded = model.encode(source);
    const std::vector<Var> wanted{encoded.memory, encoded.lengths};
    Executor::current().run(wanted);
    memory = encoded.memory.value();
    lengths = encoded.lengths.value();
  }
  std::vector<std::vector<std::int32_t>> prefix(static_cast<std::size_t>(rows), {options.begin});
  std::vector<bool> ended(static_cast<std::size_t>(rows), false);
  std::int64_t open = rows;
  for (std::int64_t t = 0; t <= options.max_length && open > 0; ++t) {
    const Tape tape;
    const Var logits = model.decode({as_var(memory), as_var(lengths)}, pad_rows(prefix));
    const Var best = argmax(select(logits, 1, t), -1);  // [B]
    const std::vector<std::int32_t> tokens = best.value().to_vector<std::int32_t>();
    for (std::size_t row = 0; row < decoded.size(); ++row) {
      prefix[row].push_back(tokens[row]);
      if (ended[row]) continue;
      if (tokens[row] == options.end || t == options.max_length) {
        ended[row] = true;
        --open;
      } else {
        decoded[row].tokens.push_back(tokens[row]);
      }
    }
  }
  return decoded;
}

}  // namespace

std::vector<Decoded> decode_all(const Net& net,
                                const std::vector<std::vector<std::int32_t>>& sources,
                                std::int64_t batch_size, const GreedyOptions& options) {
  std::vector<std::size_t> order(sources.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return sources[a].size() < sources[b].size();
  });
  std::vector<Decoded> decoded(sources.size());
  const auto most = static_cast<std::size_t>(batch_size);
  for (std::size_t begin = 0; begin < order.size(); begin += most) {
    const std::size_t end = std::min(order.size(), begin + most);
    std::vector<std::vector<std::int32_t>> rows;
    for (std::size_t i = begin; i < end; ++i) rows.push_back(sources[order[i]]);
    std::vector<Decoded> part =
        std::visit([&](const auto& model) { return greedy(model, pad_rows(rows), options); }, net);
    for (std::size_t i = begin; i < end; ++i) decoded[order[i]] = std::move(part[i - begin]);
  }
  return decoded;
}

}  // namespace rapt::examples
