#include "tasks/translation/translator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "framework/core/error.hpp"
#include "framework/graph/tape.hpp"
#include "models/layers/probe.hpp"
#include "tasks/data/executors.hpp"
#include "tasks/text/utf8.hpp"
#include "tasks/translation/translation.hpp"

namespace rapt::inline v0 {

using namespace tasks;
using Ids = std::vector<std::int32_t>;

struct Translator::State {
  std::vector<TranslationModel> models;
  std::vector<Net> nets;
  Executors executors;

  explicit State(int threads) : executors(threads) {}
};

namespace {

bool same(const Tokenizer& a, const Tokenizer& b) {
  bool equal = a.kind() == b.kind() && a.lower() == b.lower() && a.size() == b.size();
  for (std::int32_t id = 0; equal && id < a.size(); ++id) equal = a.token(id) == b.token(id);
  return equal;
}

/// Returns the number of tokens that a model can read: the length of its table of positions.
std::int64_t positions_of(const NetOptions& options) {
  if (const auto* o = std::get_if<TransformerOptions>(&options)) {
    if (o->positions == PositionKind::sinusoidal || o->positions == PositionKind::learned ||
        o->positions == PositionKind::rotary) {
      return o->max_length;
    }
  }
  return std::numeric_limits<std::int64_t>::max();
}

std::vector<std::string> labels(const Tokenizer& tokenizer, std::span<const std::int32_t> ids) {
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids) tokens.push_back(tokenizer.token(id));
  return tokens;
}

Ids encoded(const Tokenizer& tokenizer, const std::string& text, std::size_t index) {
  if (is_valid_utf8(text)) return tokenizer.encode(text);
  throw Error(fmt::format("line {}: invalid UTF-8", index + 1));
}

/// Returns the weights of the last attention between decoder and source, [T * S], a mean over
/// heads. `batch` has one row. Empty if the model has no such attention.
std::vector<float> cross_weights(const Net& net, const PairBatch& batch) {
  const Tape tape;
  AttentionProbe probe;
  std::visit([&](const auto& model) { model(batch.source, batch.target_in); }, net);
  std::string last;
  for (const std::string& layer : probe.layers()) {
    if (layer.find("self_attention") == layer.npos) last = layer;
  }
  std::vector<float> weights;
  if (probe.layers().empty()) return weights;
  // A recurrent decoder makes one call per token, a Transformer one in all.
  for (std::size_t call = 0; call < probe.calls(last); ++call) {
    const bool heads = probe.recorded(last, call).rank() == 4;
    const Tensor some = heads ? probe.mean_weights(last, call) : probe.weights(last, call);
    for (const float weight : some.to_vector<float>()) weights.push_back(weight);
  }
  return weights;
}

void add_attention(Translation& to, std::span<const Net> nets, const Ids& source,
                   const Ids& target) {
  const PairSet pair{{source}, {target}};
  const std::int64_t row = 0;
  const PairBatch batch = make_batch(pair, {&row, 1});
  std::int64_t models = 0;
  for (const Net& net : nets) {
    const std::vector<float> weights = cross_weights(net, batch);
    if (weights.empty()) continue;
    to.weights.resize(weights.size());
    for (std::size_t i = 0; i < weights.size(); ++i) to.weights[i] += weights[i];
    ++models;
  }
  if (models == 0) return;
  for (float& weight : to.weights) weight /= static_cast<float>(models);
  const auto columns = static_cast<std::ptrdiff_t>(source.size());
  for (auto row_of = to.weights.begin(); row_of != to.weights.end(); row_of += columns) {
    to.alignment.push_back(std::max_element(row_of, row_of + columns) - row_of);
  }
}

/// Returns the most tokens to write. Searches stop at twice the source's length as well, and where
/// the model has no more room.
std::int64_t longest_target(const TranslationOptions& o) {
  return o.max_length > 0 ? o.max_length : std::numeric_limits<std::int64_t>::max();
}

std::vector<std::int32_t> never(const TranslationOptions& o) {
  if (o.unknown != Unknown::never) return {};
  return {Vocabulary::unknown};
}

/// Returns the text of the tokens, with the source tokens that they point to in place of <unk>.
std::string text_with_source(const TranslationModel& model, const Translation& translation,
                             const Ids& target, const std::string& line) {
  const Sentence source = model.source.split(line);
  Sentence tokens;
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (target[i] != Vocabulary::unknown) {
      tokens.push_back(model.target.token(target[i]));
    } else {
      tokens.push_back(source.at(static_cast<std::size_t>(translation.alignment.at(i))));
    }
  }
  return model.target.join(tokens);
}

BeamOptions search_options(const TranslationOptions& o) {
  return {.beam = o.beam,
          .best = o.best,
          .begin = Vocabulary::begin,
          .end = Vocabulary::end,
          .pad = Vocabulary::pad,
          .never = never(o),
          .norm = o.length_penalty == 0 ? LengthNorm::none : LengthNorm::power,
          .alpha = o.length_penalty,
          .max_length = longest_target(o),
          .stop = o.stop};
}

SamplingOptions sampling_options(const TranslationOptions& o) {
  return {.key = Key{o.seed},
          .samples = o.best,
          .temperature = o.temperature,
          .top_k = o.top_k,
          .top_p = o.top_p,
          .begin = Vocabulary::begin,
          .end = Vocabulary::end,
          .pad = Vocabulary::pad,
          .never = never(o),
          .max_length = longest_target(o)};
}

/// Samples for lines of these numbers. Draws depend on a line's number, not on which lines are
/// empty.
std::vector<std::vector<Hypothesis>> sampled(std::span<const Net> nets,
                                             const std::vector<Ids>& sources,
                                             const std::vector<std::size_t>& lines,
                                             const std::vector<Ids>& prefixes,
                                             const TranslationOptions& o) {
  std::vector<std::vector<Hypothesis>> found;
  for (std::size_t begin = 0, end = 0; begin < lines.size(); begin = end) {
    for (end = begin + 1; end < lines.size() && lines[end] == lines[end - 1] + 1; ++end) {
    }
    const auto part = [&](const std::vector<Ids>& all) {
      return std::vector<Ids>(all.begin() + static_cast<std::ptrdiff_t>(begin),
                              all.begin() + static_cast<std::ptrdiff_t>(end));
    };
    SamplingOptions options = sampling_options(o);
    options.first_sentence = o.first_line + static_cast<std::int64_t>(lines[begin]);
    if (!prefixes.empty()) options.prefixes = part(prefixes);
    for (auto& one : sample_all(nets, part(sources), o.batch, options)) {
      found.push_back(std::move(one));
    }
  }
  return found;
}

}  // namespace

Translator::Translator(const std::string& folder, int threads)
    : Translator(std::vector<std::string>{folder}, threads) {}

Translator::Translator(const std::vector<std::string>& folders, int threads)
    : state_(std::make_shared<State>(threads)) {
  if (folders.empty()) throw Error("Translator: no folder of a model is given");
  for (const std::string& folder : folders) {
    TranslationModel& model = state_->models.emplace_back(TranslationModel::load(folder));
    const TranslationModel& first = state_->models.front();
    if (!same(first.source, model.source) || !same(first.target, model.target)) {
      throw Error(fmt::format("{} and {} have different tokens: they cannot translate together",
                              folders.front(), folder));
    }
    parameters_of(model.net);  // names the layers
    state_->nets.push_back(model.net);
  }
}

std::string Translator::translate(std::string_view line) const {
  const std::string text(line);
  return translate({&text, 1}).front().front().text;
}

std::vector<std::vector<Translation>> Translator::translate(std::span<const std::string> lines,
                                                            const TranslationOptions& o) const {
  const TranslationModel& first = model();
  if (!o.prefixes.empty() && o.prefixes.size() != lines.size()) {
    throw Error(
        fmt::format("Translator: {} prefixes for {} lines", o.prefixes.size(), lines.size()));
  }
  if (o.batch < 1) throw Error(fmt::format("Translator: a batch of {} lines", o.batch));
  const bool replace = o.unknown == Unknown::replace;
  if (replace && first.target.kind() == TokenKind::sentencepiece) {
    throw Error("Translator: only words and characters can replace unknown tokens");
  }
  const std::int64_t longest = longest_source();
  std::vector<Ids> sources, prefixes;
  std::vector<std::size_t> used;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    Ids ids = encoded(first.source, lines[i], i);
    if (std::cmp_greater(ids.size(), longest)) {
      throw Error(fmt::format("line {}: {} tokens, the model reads at most {}", i + 1, ids.size(),
                              longest));
    }
    if (ids.empty()) continue;
    used.push_back(i);
    sources.push_back(std::move(ids));
    if (!o.prefixes.empty()) prefixes.push_back(encoded(first.target, o.prefixes[i], i));
  }

  std::vector<std::vector<Translation>> all(lines.size());
  const Executors::Lease lease(state_->executors);
  std::vector<std::vector<Hypothesis>> found;
  if (o.sample) {
    found = sampled(state_->nets, sources, used, prefixes, o);
  } else {
    BeamOptions search = search_options(o);
    search.prefixes = std::move(prefixes);
    found = search_all(state_->nets, sources, o.batch, search);
  }
  for (std::size_t n = 0; n < used.size(); ++n) {
    for (const Hypothesis& h : found[n]) {
      Translation& to = all[used[n]].emplace_back();
      to.text = first.target.decode(h.tokens);
      to.log_probability = h.log_probability;
      to.score = h.score;
      to.tokens = labels(first.target, h.tokens);
      to.tokens.push_back(first.target.token(Vocabulary::end));
      to.source = labels(first.source, sources[n]);
      const bool lacks = replace && std::find(h.tokens.begin(), h.tokens.end(),
                                              Vocabulary::unknown) != h.tokens.end();
      if (!o.attention && !lacks) continue;
      add_attention(to, state_->nets, sources[n], h.tokens);
      if (!lacks) continue;
      if (to.alignment.empty()) {
        throw Error("Translator: a model without attention cannot replace unknown tokens");
      }
      to.text = text_with_source(first, to, h.tokens, lines[used[n]]);
    }
  }
  for (auto& translations : all) {
    if (translations.empty()) translations.emplace_back();
  }
  return all;
}

std::int64_t Translator::longest_source() const {
  std::int64_t longest = std::numeric_limits<std::int64_t>::max();
  for (const TranslationModel& one : state_->models) {
    longest = std::min(longest, positions_of(one.options));
  }
  return longest;
}

const TranslationModel& Translator::model() const { return state_->models.front(); }

}  // namespace rapt::v0
