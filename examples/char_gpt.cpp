// A character-level language model: a small GPT learns a text character by character, then writes
// its own. The settings are those of nanoGPT's readme for a laptop CPU (Karpathy 2022,
// github.com/karpathy/nanoGPT). They are 64 characters of context, 12 rows per step, 4 layers, 4
// heads, width 128, 2000 steps, no dropout.
//
//   char_gpt --text FILE           any UTF-8 text; without it, sentences that the program makes up
//   char_gpt --load char_gpt.safetensors --steps 0    writes, without training
//
// Expected output without --text (figures differ slightly by instruction set). It shows the loss in
// nats per character, then sentences whose verbs mostly agree with their subjects.
//
//   step     0   train 3.414   val 3.408
//   step   250   train 0.896   val 0.912
//   step  1000   train 0.427   val 0.437
//   step  2000   train 0.402   val 0.406
//
//   Many brave kings sleep at home. The old cat finds two red gardens in the north.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <rapt/rapt.hpp>

#include "examples/command_line/fields.hpp"
#include "examples/command_line/numbers.hpp"
#include "examples/command_line/program.hpp"
#include "tasks/data/files.hpp"
#include "tasks/draw/progress.hpp"
#include "tasks/model_files/model_file.hpp"
#include "tasks/text/reader.hpp"
#include "tasks/text/utf8.hpp"

namespace {

using namespace rapt;
using namespace rapt::tasks;

/// The sizes of the model, which its file keeps.
struct Sizes {
  int64_t block = 64, width = 128, layers = 4, heads = 4;
};

template <class Visitor>
void fields(Visitor& v, Sizes& o) {
  v.number("block", o.block, "characters that the model sees at once");
  v.number("width", o.width, "width of the layers");
  v.number("layers", o.layers, "number of layers");
  v.number("heads", o.heads, "heads of attention");
}

struct Options {
  std::string text, load, model = "char_gpt.safetensors";
  int64_t steps = 2000;
  int64_t batch = 12;
  Sizes sizes;
  double lr = 1e-3, min_lr = 1e-4;
  int64_t warm_up = 100;
  int64_t eval_every = 250, eval_batches = 20;
  int64_t samples = 2, length = 300;
  double temperature = 0.8;
  int64_t top_k = 20;
  uint64_t seed = 1;
  int threads = 0;
};

// ---- text ---------------------------------------------------------------------------------------

/// Returns sentences of a small grammar whose subjects and verbs agree in number.
std::string make_text(Key key, int64_t sentences) {
  constexpr std::array nouns{"cat", "wolf", "bird", "garden", "king", "ship", "letter", "child"};
  constexpr std::array plurals{"cats",  "wolves", "birds",   "gardens",
                               "kings", "ships",  "letters", "children"};
  constexpr std::array adjectives{"old", "small", "red", "quiet", "brave"};
  constexpr std::array verbs{"watch", "find", "like", "follow", "paint"};
  constexpr std::array alone{"sing", "sleep", "wait", "run"};
  constexpr std::array places{"near the river", "under the stars", "in the north", "at home"};
  constexpr std::array numbers{"two", "three", "many"};
  std::string text;
  for (int64_t s = 0; s < sentences; ++s) {
    uint64_t drawn = 0;
    const Key own = key.fold(static_cast<uint64_t>(s));
    const auto one_of = [&](const auto& words) -> std::string {
      return words[static_cast<size_t>(own.below(static_cast<int64_t>(words.size()), drawn++))];
    };
    const auto adjective = [&] {
      return own.below(2, drawn++) == 0 ? one_of(adjectives) + " " : "";
    };
    const auto thing = [&](bool many) {
      const std::string article = many                         ? one_of(numbers)
                                  : own.below(2, drawn++) == 0 ? "the"
                                                               : "my";
      const std::string before = article + " " + adjective();
      return before + (many ? one_of(plurals) : one_of(nouns));
    };
    const bool many = own.below(2, drawn++) == 0;
    std::string sentence = thing(many) + " ";
    if (own.below(3, drawn++) == 0) {
      sentence += one_of(alone) + (many ? "" : "s");
    } else {
      const std::string verb = one_of(verbs);
      sentence += verb + (many ? "" : verb == "watch" ? "es" : "s") + " ";
      sentence += thing(own.below(2, drawn++) == 0);
    }
    if (own.below(2, drawn++) == 0) sentence += " " + one_of(places);
    sentence[0] = static_cast<char>(sentence[0] - 'a' + 'A');
    text += sentence + (own.below(4, drawn++) == 0 ? ".\n" : ". ");
  }
  return text;
}

std::string read_text(const std::string& path) {
  std::string text;
  for (const Line& line : read_lines(path)) text += line.text + '\n';
  return text;
}

std::vector<char32_t> code_points(std::string_view text) {
  std::vector<char32_t> points;
  while (!text.empty()) {
    const CodePoint point = next_code_point(text);
    points.push_back(point.value);
    text.remove_prefix(static_cast<size_t>(point.bytes));
  }
  return points;
}

/// Maps characters to numbers, in the order of their code points.
class Characters {
 public:
  explicit Characters(std::string_view text) : points_(code_points(text)) {
    std::sort(points_.begin(), points_.end());
    points_.erase(std::unique(points_.begin(), points_.end()), points_.end());
    for (size_t i = 0; i < points_.size(); ++i) ids_[points_[i]] = static_cast<int32_t>(i);
  }

  int64_t size() const { return static_cast<int64_t>(points_.size()); }
  std::vector<int32_t> encode(std::string_view text) const {
    std::vector<int32_t> ids;
    for (const char32_t point : code_points(text)) {
      const auto found = ids_.find(point);
      if (found == ids_.end()) {
        std::string letter;
        append_utf8(letter, point);
        throw std::runtime_error(fmt::format("the model does not know the text's character '{}'",
                                             letter == "\n" ? "end of line" : letter));
      }
      ids.push_back(found->second);
    }
    return ids;
  }
  std::string decode(const std::vector<int32_t>& ids) const {
    std::string text;
    for (const int32_t id : ids) append_utf8(text, points_.at(static_cast<size_t>(id)));
    return text;
  }
  /// Returns all characters as one string, which is what the model's file stores.
  std::string text() const {
    std::string all;
    for (const char32_t point : points_) append_utf8(all, point);
    return all;
  }

 private:
  std::vector<char32_t> points_;
  std::map<char32_t, int32_t> ids_;
};

// ---- the model and its file ---------------------------------------------------------------------

struct Writer {
  Characters characters;
  Gpt net;
  int64_t block;
};

Writer make_writer(const Options& o, const Characters& characters) {
  Gpt net({.vocab = characters.size(),
           .width = o.sizes.width,
           .heads = o.sizes.heads,
           .layers = o.sizes.layers,
           .tied = true,
           .max_length = o.sizes.block},
          Key{o.seed});
  return {characters, net, o.sizes.block};
}

constexpr const char* kind = "rapt Gpt 1";

void save(const Options& o, Writer& writer) {
  Metadata entries = described(o.sizes);
  entries["characters"] = writer.characters.text();
  save_model(o.model, kind, parameters(writer.net), std::move(entries));
}

/// Loads the model from `o.load`. Its sizes replace those in the options.
Writer load(Options& o) {
  const ModelFile file(o.load);
  // The oldest files have no kind.
  if (!file.kind().empty()) file.expect_kind({kind});
  file.read(o.sizes);
  const Characters characters(file.text("characters"));
  const auto width = static_cast<double>(o.sizes.width);
  file.expect_numbers(static_cast<double>(characters.size() + o.sizes.block) * width +
                      12 * static_cast<double>(o.sizes.layers) * width * width);
  Writer writer = make_writer(o, characters);
  file.restore(parameters(writer.net));
  return writer;
}

// ---- training -----------------------------------------------------------------------------------

/// Rows of `block` characters from random places, and for each character the one that follows it.
struct Rows {
  Tensor in, out;  // int32 [B, T]

  Rows(std::span<const int32_t> text, int64_t batch, int64_t block, Key key)
      : in({batch, block}, DType::int32), out({batch, block}, DType::int32) {
    const int64_t last = static_cast<int64_t>(text.size()) - block - 1;
    for (int64_t b = 0; b < batch; ++b) {
      const auto* from = text.data() + key.below(last + 1, static_cast<uint64_t>(b));
      std::copy(from, from + block, in.data<int32_t>().data() + b * block);
      std::copy(from + 1, from + 1 + block, out.data<int32_t>().data() + b * block);
    }
  }
};

double mean_loss(const Options& o, const Gpt& net, std::span<const int32_t> text) {
  double sum = 0;
  for (int64_t i = 0; i < o.eval_batches; ++i) {
    const Rows rows(text, o.batch, o.sizes.block, Key{o.seed + 1}.fold(static_cast<uint64_t>(i)));
    const Tape tape;
    sum += cross_entropy(net(rows.in), rows.out).item();
  }
  return sum / static_cast<double>(o.eval_batches);
}

/// Trains, and saves the model with each look at the losses. Returns 0, or 128 plus the number of
/// the signal that ended it.
int train(const Options& o, Writer& writer, const std::vector<int32_t>& text) {
  const size_t cut = text.size() - text.size() / 10;
  const std::span<const int32_t> all(text);
  const std::span<const int32_t> learned = all.first(cut), held_out = all.subspan(cut);
  if (static_cast<int64_t>(std::min(learned.size(), held_out.size())) < o.sizes.block + 2) {
    throw std::runtime_error(fmt::format(
        "the text is too short: {} characters, of which a tenth is held out, and --block"
        " {} needs at least {} there",
        text.size(), o.sizes.block, o.sizes.block + 2));
  }
  AdamW adam(decay_matrices_only(parameters(writer.net)),
             {.lr = o.lr, .beta2 = 0.99, .weight_decay = 0.1, .clip_norm = 1});
  const auto rate = schedules::cosine(o.lr, std::min(o.warm_up, o.steps), o.steps, o.min_lr);
  const Interrupt interrupt;
  Progress progress(o.steps, "train", {.unit = "characters"});
  std::chrono::duration<double> trained{0};
  int64_t step = 0;
  const auto report = [&] {
    progress.message(fmt::format("step {:5}   train {:.3f}   val {:.3f}", step,
                                 mean_loss(o, writer.net, learned),
                                 mean_loss(o, writer.net, held_out)));
    save(o, writer);
  };
  for (; step < o.steps && !interrupt.requested(); ++step) {
    if (step % o.eval_every == 0) report();
    const auto begun = std::chrono::steady_clock::now();
    const Key key = Key{o.seed}.fold(static_cast<uint64_t>(step));
    const Rows rows(learned, o.batch, o.sizes.block, key);
    const Tape tape;
    const Var loss = cross_entropy(writer.net(rows.in), rows.out);
    adam.lr(rate(step));
    adam.step(loss);
    trained += std::chrono::steady_clock::now() - begun;
    progress.count(o.batch * o.sizes.block);
    progress.update(step + 1, {{"loss", loss.item()}});
  }
  report();
  fmt::print("{} steps: train {:.3f}, val {:.3f} nats a character, {:.0f} characters a second\n",
             step, mean_loss(o, writer.net, learned), mean_loss(o, writer.net, held_out),
             static_cast<double>(step * o.batch * o.sizes.block) / trained.count());
  fmt::print("kept in {}\n", o.model);
  if (interrupt.requested()) fmt::print("stopped by {}\n", interrupt.cause());
  return interrupt.requested() ? 128 + interrupt.signal() : 0;
}

// ---- writing ------------------------------------------------------------------------------------

/// Draws one of the `k` likeliest characters with probabilities softmax(logits / temperature).
int32_t draw(std::span<const float> logits, double temperature, int64_t k, double chance) {
  std::vector<int32_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  const auto logit = [&](int32_t i) { return double(logits[static_cast<size_t>(i)]); };
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return logit(a) > logit(b); });
  if (k > 0 && k < static_cast<int64_t>(order.size())) order.resize(static_cast<size_t>(k));
  std::vector<double> sums;
  double total = 0;
  for (const int32_t i : order) {
    total += std::exp((logit(i) - logit(order[0])) / temperature);
    sums.push_back(total);
  }
  const auto at = std::upper_bound(sums.begin(), sums.end() - 1, chance * total);
  return order[static_cast<size_t>(at - sums.begin())];
}

std::string write(const Options& o, const Writer& writer, Key key) {
  std::vector<int32_t> text{0};  // id 0 is the lowest code point, in most texts the line feed
  for (int64_t i = 0; i < o.length; ++i) {
    const auto seen = std::min(static_cast<int64_t>(text.size()), writer.block);
    const std::vector<int32_t> last(text.end() - seen, text.end());
    const Tape tape;
    const Var logits = select(writer.net(tensor(last, {1, seen})), 1, -1);  // [1, V]
    text.push_back(draw(logits.value().data<float>(), o.temperature, o.top_k,
                        key.uniform(static_cast<uint64_t>(i))));
  }
  return writer.characters.decode({text.begin() + 1, text.end()});
}

int run(Options o) {
  Executor executor({.threads = o.threads});
  const Executor::Use use(executor);
  if (o.steps > 0) expect_writable(o.model);
  const std::string text = o.text.empty() ? make_text(Key{17}, 8000) : read_text(o.text);
  Writer writer = o.load.empty() ? make_writer(o, Characters(text)) : load(o);
  fmt::print("{}: {} characters, {} different; {} parameters\n",
             o.text.empty() ? "a text made up" : o.text, text.size(), writer.characters.size(),
             count(parameters(writer.net)));
  if (o.steps > 0) {
    const int stopped = train(o, writer, writer.characters.encode(text));
    if (stopped != 0) return stopped;
  }
  for (int64_t i = 0; i < o.samples; ++i) {
    fmt::print("\n---- sample {} ----\n{}\n", i + 1,
               write(o, writer, Key{o.seed + 2}.fold(static_cast<uint64_t>(i))));
  }
  return 0;
}

}  // namespace

using rapt::examples::between, rapt::examples::not_negative, rapt::examples::positive;

int main(int argc, char** argv) {
  Options o;
  CLI::App app("A GPT that learns a text character by character and writes its own.");
  const auto add = [&](const char* name, auto& value, const char* help,
                       const CLI::Validator& check = positive) {
    app.add_option(name, value, help)->capture_default_str()->check(check);
  };
  app.add_option("--text", o.text, "the text, UTF-8; none: sentences of a small grammar");
  app.add_option("--load", o.load, "starts from a model in such a file");
  app.add_option("--model", o.model, "where the trained model is kept")->capture_default_str();
  add("--steps", o.steps, "training steps", not_negative);
  add("--batch", o.batch, "rows a step");
  rapt::examples::CommandLine sizes(&app, "");
  fields(sizes, o.sizes);
  add("--lr", o.lr, "peak learning rate");
  add("--min-lr", o.min_lr, "learning rate at the end");
  add("--warm-up", o.warm_up, "steps in which it rises", not_negative);
  add("--eval-every", o.eval_every, "steps between looks at the losses");
  add("--eval-batches", o.eval_batches, "batches to measure a loss on");
  add("--samples", o.samples, "texts to write", not_negative);
  add("--length", o.length, "their characters");
  add("--temperature", o.temperature, "of drawing characters: lower is safer");
  add("--top-k", o.top_k, "only the k likeliest come; 0: all", not_negative);
  add("--seed", o.seed, "of weights, rows and samples", not_negative);
  add("--threads", o.threads, "0: all cores", between(0, 256));
  return rapt::examples::run_program("char_gpt", app, argc, argv, [&] { return run(o); });
}
