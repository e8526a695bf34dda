#include "run_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <rapt/framework/tape.hpp>
#include <rapt/models/probe.hpp>

#include "../common/report.hpp"

namespace rapt::examples {
namespace {

constexpr std::size_t most_samples = 6;
constexpr std::size_t longest_sample = 30;  // tokens of the source: longer ones are hard to look at

std::string summary(const TranslationModel& model) {
  if (const auto* gru = std::get_if<Seq2SeqOptions>(&model.options)) {
    return fmt::format("GRU encoder and decoder, hidden width {}", gru->hidden);
  }
  const auto& o = std::get<TransformerOptions>(model.options);
  return fmt::format("Transformer, {} + {} layers, width {}, {} heads, feed-forward {}",
                     o.encoder_layers, o.decoder_layers, o.width, o.heads, o.feed_forward);
}

std::vector<std::string> labels(const Tokenizer& tokenizer, std::span<const std::int32_t> ids) {
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids) tokens.push_back(tokenizer.token(id));
  return tokens;
}

/// "decoder/0/cross_attention" as people number layers: "decoder 1, cross attention".
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

/// What one layer showed for a batch of one: weights [heads, rows, columns] of all its calls.
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
  // The encoder's places are the source's. A decoder's row is named by the token that it chose, a
  // column of its own by the token that it read there.
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
  // What people look at first comes first: where the target's words come from.
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

std::string with_commas(std::int64_t n) {
  std::string text = std::to_string(n);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

}  // namespace

void write_run_report(const std::string& folder, const TranslationModel& model,
                      const PairSet& pairs, const RunLog& log, const RunFacts& run) {
  const RunHistory history = run_history(log.text());
  std::vector<Fact> facts;
  double loss = INFINITY, bleu = -INFINITY, speed = 0;
  for (const DevLine& line : history.dev) {
    loss = std::min(loss, line.loss);
    bleu = std::max(bleu, line.bleu);
  }
  for (const TrainLine& line : history.train) {
    speed += line.speed / static_cast<double>(history.train.size());
  }
  if (!history.dev.empty()) {
    facts = {{"best dev BLEU", fmt::format("{:.1f}", bleu)},
             {"best dev loss", fmt::format("{:.3f}", loss)},
             {"best epoch", fmt::format("{} of {}", run.best_epoch, run.epochs)}};
  }
  if (!history.train.empty()) {
    const TrainLine& last = history.train.back();
    facts.push_back({"steps", with_commas(last.step)});
    facts.push_back({"training", fmt::format("{:.1f} min", last.seconds / 60)});
    facts.push_back({run.unit + " a second", with_commas(std::llround(speed))});
  }
  Net net = model.net;
  facts.push_back({"parameters",
                   fmt::format("{:.2f} M", static_cast<double>(count(parameters_of(net))) / 1e6)});

  const std::vector<CurvePanel> panels = panels_of(history, run.unit);
  const std::vector<AttentionSample> samples = samples_of(model, pairs);
  std::vector<ReportView> views{facts_view(facts)};
  if (!panels.empty()) views.push_back(curves_view("Training", "step", panels));
  if (!samples.empty()) views.push_back(attention_view("Attention", samples));
  views.push_back(notes_view("Decisions", history.notes));
  const std::string name = std::filesystem::path(run.model).lexically_normal().filename().string();
  write_report(folder, report_page(name.empty() ? run.model : name, summary(model), views));
}

}  // namespace rapt::examples
