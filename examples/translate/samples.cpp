#include "examples/translate/samples.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "framework/graph/tape.hpp"
#include "models/layers/probe.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

constexpr std::size_t most_samples = 6;
constexpr std::size_t longest_sample = 30;  // tokens of the source; longer samples are hard to read

std::vector<std::string> labels(const Tokenizer& tokenizer, std::span<const std::int32_t> ids) {
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids) tokens.push_back(tokenizer.token(id));
  return tokens;
}

/// Renames "decoder/0/cross_attention" for display: "decoder 1, cross attention".
std::string layer_name(const std::string& path) {
  std::string name;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (!part.empty() && part.find_first_not_of("0123456789") == std::string::npos) {
      name += fmt::format(" {}", std::stoll(part) + 1);
      continue;
    }
    std::replace(part.begin(), part.end(), '_', ' ');
    name += (name.empty() ? "" : ", ") + part;
  }
  return name.empty() ? "attention" : name;
}

/// Returns a layer's attention for a batch of one: weights [heads, rows, columns] of all its calls.
AttentionMap map_of(AttentionProbe& probe, const std::string& layer,
                    const std::vector<std::string>& source, const std::vector<std::string>& in,
                    const std::vector<std::string>& out) {
  AttentionMap map{layer_name(layer), {}, {}, {}};
  std::size_t rows = 0, columns = 0;
  for (std::size_t call = 0; call < probe.calls(layer); ++call) {
    const Tensor weights = probe.weights(layer, call);  // [1, H, Tq, Tk], [1, Tq, Tk] or [1, Tk]
    const std::vector<std::int64_t> sizes(weights.shape().begin(), weights.shape().end());
    columns = static_cast<std::size_t>(sizes.back());
    rows += sizes.size() > 2 ? static_cast<std::size_t>(sizes[sizes.size() - 2]) : 1;
    const std::vector<float> values = weights.to_vector<float>();
    map.weights.insert(map.weights.end(), values.begin(), values.end());
  }
  // The encoder's positions are source tokens. A decoder's row is labelled by the token that it
  // chose. A column of its self-attention is labelled by the token read there.
  const bool encoder = layer.starts_with("encoder");
  const bool self = layer.find("self") != std::string::npos;
  map.rows = encoder ? source : out;
  map.columns = self && !encoder ? in : source;
  if (map.rows.size() != rows || map.columns.size() != columns) {
    throw Error(fmt::format("report: {} has {} rows and {} columns, its tokens are {} and {}",
                            layer, rows, columns, map.rows.size(), map.columns.size()));
  }
  return map;
}

AttentionSample sample_of(const TranslationModel& model, const std::vector<std::int32_t>& source,
                          const std::vector<std::int32_t>& reference) {
  const std::vector<std::vector<std::int32_t>> sources{source};
  const BeamOptions options{
      .beam = 1, .begin = Vocabulary::begin, .end = Vocabulary::end, .pad = Vocabulary::pad};
  const Hypothesis decoded = search_all({&model.net, 1}, sources, 1, options).at(0).at(0);
  AttentionSample sample{model.source.decode(source),
                         model.target.decode(reference),
                         model.target.decode(decoded.tokens),
                         {}};
  const PairSet own{sources, {decoded.tokens}};
  const std::int64_t row = 0;
  const PairBatch batch = make_batch(own, {&row, 1});
  const std::vector<std::string> from = labels(model.source, source),
                                 in = labels(model.target, batch.target_in.data<std::int32_t>()),
                                 out = labels(model.target, batch.target_out.data<std::int32_t>());
  const Tape tape;
  AttentionProbe probe;
  std::visit([&](const auto& net) { net(batch.source, batch.target_in); }, model.net);
  std::vector<std::string> layers = probe.layers();
  // Cross-attention comes first: it shows which source words the translation uses.
  std::stable_partition(layers.begin(), layers.end(), [](const std::string& layer) {
    return layer.find("cross") != std::string::npos;
  });
  for (const std::string& layer : layers) {
    sample.maps.push_back(map_of(probe, layer, from, in, out));
  }
  return sample;
}

std::vector<AttentionSample> samples_of(const TranslationModel& model, const PairSet& pairs) {
  std::vector<std::size_t> fitting;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (pairs.source[i].size() <= longest_sample) fitting.push_back(i);
  }
  std::vector<AttentionSample> samples;
  const std::size_t count = std::min(most_samples, fitting.size());
  for (std::size_t n = 0; n < count; ++n) {
    const std::size_t i = fitting[n * fitting.size() / count];
    samples.push_back(sample_of(model, pairs.source[i], pairs.target[i]));
  }
  return samples;
}

}  // namespace

std::string summary_of(const TranslationModel& model) {
  if (const auto* gru = std::get_if<Seq2SeqOptions>(&model.options)) {
    return fmt::format("GRU encoder and decoder, hidden width {}", gru->hidden);
  }
  const auto& o = std::get<TransformerOptions>(model.options);
  return fmt::format("Transformer, {} + {} layers, width {}, {} heads, feed-forward {}",
                     o.encoder_layers, o.decoder_layers, o.width, o.heads, o.feed_forward);
}

std::vector<ReportView> sample_views(const TranslationModel& model, const PairSet& pairs) {
  const std::vector<AttentionSample> samples = samples_of(model, pairs);
  if (samples.empty()) return {};
  return {attention_view("Attention", samples)};
}

}  // namespace rapt::examples
