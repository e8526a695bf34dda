#include "translation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <numeric>
#include <rapt/framework/checkpoint.hpp>
#include <rapt/framework/error.hpp>
#include <rapt/framework/tape.hpp>
#include <rapt/ops/loss.hpp>

namespace rapt::examples {

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

Var loss_of(const GruSeq2Seq& model, const PairBatch& batch, double label_smoothing) {
  const Var logits = model(batch.source, batch.target_in);  // [B, T, V]
  return cross_entropy(logits, batch.target_out,
                       {.ignore = Vocabulary::pad, .label_smoothing = label_smoothing});
}

double mean_loss(const GruSeq2Seq& model, const PairSet& pairs, std::int64_t batch_size) {
  const Batches batches = make_batches(pairs.lengths(), batch_size, 0, 0);
  double total = 0;
  std::int64_t tokens = 0;
  for (const auto& rows : batches.sentences) {
    const PairBatch batch = make_batch(pairs, rows);
    const Tape tape;
    total += loss_of(model, batch, 0).item() * static_cast<double>(batch.target_tokens);
    tokens += batch.target_tokens;
  }
  return total / static_cast<double>(tokens);
}

std::vector<Decoded> decode_all(const GruSeq2Seq& model,
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
    std::vector<Decoded> part = greedy(model, pad_rows(rows), options);
    for (std::size_t i = begin; i < end; ++i) decoded[order[i]] = std::move(part[i - begin]);
  }
  return decoded;
}

namespace {

constexpr std::string_view kind = "rapt GruSeq2Seq 1";

std::string attention_name(AttentionKind attention) {
  return attention == AttentionKind::none  ? "none"
         : attention == AttentionKind::dot ? "dot"
                                           : "additive";
}

std::int64_t number(const std::map<std::string, std::string>& entries, const std::string& name,
                    const std::string& path) {
  const auto found = entries.find(name);
  std::int64_t value = 0;
  if (found != entries.end()) {
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= 0 &&
        value <= (std::int64_t{1} << 24)) {
      return value;
    }
  }
  throw Error(fmt::format("{}: the entry '{}' of its metadata is missing or no size", path, name));
}

}  // namespace

void TranslationModel::save(const std::string& folder) {
  std::filesystem::create_directories(folder);
  source.save(folder + "/source.vocab");
  target.save(folder + "/target.vocab");
  save_parameters(folder + "/model.safetensors", parameters(net),
                  {{"kind", std::string(kind)},
                   {"source_vocab", std::to_string(options.source_vocab)},
                   {"target_vocab", std::to_string(options.target_vocab)},
                   {"embed", std::to_string(options.embed)},
                   {"hidden", std::to_string(options.hidden)},
                   {"readout", std::to_string(options.readout)},
                   {"attention", attention_name(options.attention)}});
}

TranslationModel TranslationModel::load(const std::string& folder) {
  const std::string path = folder + "/model.safetensors";
  const std::map<std::string, std::string> entries = load_safetensors(path).metadata;
  const auto entry = [&](const std::string& name) {
    const auto found = entries.find(name);
    return found == entries.end() ? std::string() : found->second;
  };
  if (entry("kind") != kind) {
    throw Error(
        fmt::format("{}: is no model of this program (its kind is '{}')", path, entry("kind")));
  }
  Seq2SeqOptions options{.source_vocab = number(entries, "source_vocab", path),
                         .target_vocab = number(entries, "target_vocab", path),
                         .embed = number(entries, "embed", path),
                         .hidden = number(entries, "hidden", path),
                         .readout = number(entries, "readout", path)};
  for (const AttentionKind a : {AttentionKind::none, AttentionKind::dot}) {
    if (entry("attention") == attention_name(a)) options.attention = a;
  }
  TranslationModel model{options, Vocabulary::load(folder + "/source.vocab"),
                         Vocabulary::load(folder + "/target.vocab"), GruSeq2Seq(options, Key{})};
  if (model.source.size() != options.source_vocab || model.target.size() != options.target_vocab) {
    throw Error(fmt::format(
        "{}: the vocabularies beside it have {} and {} tokens, it needs {} and {}", path,
        model.source.size(), model.target.size(), options.source_vocab, options.target_vocab));
  }
  load_parameters(path, parameters(model.net));
  return model;
}

}  // namespace rapt::examples
