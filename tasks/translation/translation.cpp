#include "tasks/translation/translation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "models/decoding/ensemble.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/reduce/reduce.hpp"
#include "ops/rows/loss.hpp"
#include "ops/rows/softmax.hpp"
#include "ops/shape/shape.hpp"

namespace rapt::tasks {

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

namespace {

/// Returns the mean per target token of (KL(p || q) + KL(q || p)) / 2. The distributions p are
/// those of the first half of the rows, q those of the second half.
Var divergence(const Var& logits, const PairBatch& batch) {
  const Var log_p = log_softmax(logits);  // [2 B, T, V]
  const std::int64_t B = batch.target_out.shape()[0];
  const Var first = slice(log_p, 0, 0, B), second = slice(log_p, 0, B);
  // KL(p || q) + KL(q || p) = sum((p - q) (log p - log q))
  const Var both = sum((exp(first) - exp(second)) * (first - second), {-1});  // [B, T]
  const Var counts = cast(ne(batch.target_out, Vocabulary::pad), both.dtype());
  return sum(both * counts) * (0.5 / static_cast<double>(batch.target_tokens));
}

}  // namespace

Var loss_of(const Net& net, const PairBatch& batch, const LossOptions& options) {
  const bool twice = options.r_drop > 0;
  const auto rows = [&](const Tensor& x) { return twice ? concat({x, x}, 0) : as_var(x); };
  const Var logits = std::visit(
      [&](const auto& model) { return model(rows(batch.source), rows(batch.target_in)); },
      net);  // [B or 2 B, T, V]
  const Var loss =
      cross_entropy(logits, rows(batch.target_out),
                    {.ignore = Vocabulary::pad, .label_smoothing = options.label_smoothing});
  return twice ? loss + divergence(logits, batch) * (options.r_drop / 2) : loss;
}

double mean_loss(const Net& net, const PairSet& pairs, const BatchLimits& limits) {
  const Batches batches = make_batches(pairs.lengths(), limits, 0, 0);
  double total = 0;
  std::int64_t tokens = 0;
  for (const auto& rows : batches.sentences) {
    const PairBatch batch = make_batch(pairs, rows);
    const Tape tape;
    total += loss_of(net, batch).item() * static_cast<double>(batch.target_tokens);
    tokens += batch.target_tokens;
  }
  return total / static_cast<double>(tokens);
}

namespace {

/// Returns row numbers, grouped into batches of nearly equal lengths.
std::vector<std::vector<std::size_t>> by_length(
    const std::vector<std::vector<std::int32_t>>& sources, std::int64_t batch_size) {
  std::vector<std::size_t> order(sources.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return sources[a].size() < sources[b].size();
  });
  std::vector<std::vector<std::size_t>> batches;
  const auto most = static_cast<std::size_t>(batch_size);
  for (std::size_t begin = 0; begin < order.size(); begin += most) {
    const auto first = order.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto count = std::min(most, order.size() - begin);
    batches.emplace_back(first, first + static_cast<std::ptrdiff_t>(count));
  }
  return batches;
}

template <class Row>
std::vector<Row> picked(const std::vector<Row>& all, const std::vector<std::size_t>& rows) {
  std::vector<Row> some;
  for (const std::size_t row : rows) some.push_back(all[row]);
  return some;
}

}  // namespace

std::unique_ptr<StepModel> start(std::span<const Net> nets, const Tensor& source) {
  std::vector<std::unique_ptr<StepModel>> members;
  for (const Net& net : nets) {
    members.push_back(
        std::visit([&](const auto& model) { return rapt::start(model, source); }, net));
  }
  if (members.size() == 1) return std::move(members.front());
  return ensemble(std::move(members));
}

std::vector<std::vector<Hypothesis>> search_all(
    std::span<const Net> nets, const std::vector<std::vector<std::int32_t>>& sources,
    std::int64_t batch_size, const BeamOptions& options) {
  std::vector<std::vector<Hypothesis>> found(sources.size());
  for (const std::vector<std::size_t>& rows : by_length(sources, batch_size)) {
    BeamOptions own = options;
    if (!options.prefixes.empty()) own.prefixes = picked(options.prefixes, rows);
    const std::unique_ptr<StepModel> model = start(nets, pad_rows(picked(sources, rows)));
    std::vector<std::vector<Hypothesis>> part = beam_search(*model, own);
    for (std::size_t i = 0; i < rows.size(); ++i) found[rows[i]] = std::move(part[i]);
  }
  return found;
}

std::vector<std::vector<Hypothesis>> sample_all(
    std::span<const Net> nets, const std::vector<std::vector<std::int32_t>>& sources,
    std::int64_t batch_size, const SamplingOptions& options) {
  std::vector<std::vector<Hypothesis>> found;
  const auto most = static_cast<std::size_t>(batch_size);
  for (std::size_t begin = 0; begin < sources.size(); begin += most) {
    std::vector<std::size_t> rows(std::min(most, sources.size() - begin));
    std::iota(rows.begin(), rows.end(), begin);
    SamplingOptions own = options;
    own.first_sentence = options.first_sentence + static_cast<std::int64_t>(begin);
    if (!options.prefixes.empty()) own.prefixes = picked(options.prefixes, rows);
    const std::unique_ptr<StepModel> model = start(nets, pad_rows(picked(sources, rows)));
    for (auto& one : sample(*model, own)) found.push_back(std::move(one));
  }
  return found;
}

std::vector<Decoded> decode_all(const Net& net,
                                const std::vector<std::vector<std::int32_t>>& sources,
                                std::int64_t batch_size, const GreedyOptions& options) {
  std::vector<Decoded> decoded(sources.size());
  if (const auto* gru = std::get_if<GruSeq2Seq>(&net)) {
    for (const std::vector<std::size_t>& rows : by_length(sources, batch_size)) {
      std::vector<Decoded> part = greedy(*gru, pad_rows(picked(sources, rows)), options);
      for (std::size_t i = 0; i < rows.size(); ++i) decoded[rows[i]] = std::move(part[i]);
    }
    return decoded;
  }
  const BeamOptions greedily{.beam = 1,
                             .begin = options.begin,
                             .end = options.end,
                             .pad = Vocabulary::pad,
                             .length_factor = 0,
                             .length_extra = options.max_length,
                             .max_length = options.max_length};
  auto found = search_all({&net, 1}, sources, batch_size, greedily);
  for (std::size_t i = 0; i < found.size(); ++i) {
    decoded[i].tokens = std::move(found[i].at(0).tokens);
  }
  return decoded;
}

}  // namespace rapt::tasks
