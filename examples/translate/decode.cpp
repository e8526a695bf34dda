// translate decode: translates lines as they come.
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <new>
#include <system_error>

#include "examples/translate/options.hpp"
#include "framework/core/error.hpp"
#include "tasks/draw/messages.hpp"
#include "tasks/translation/translation.hpp"
#include "tasks/translation/translator.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

/// A file that is written to, or standard output.
class Output {
 public:
  explicit Output(const std::string& path)
      : name_(path == "-" ? "standard output" : path),
        file_(path == "-" ? stdout : std::fopen(path.c_str(), "w"), path == "-" ? keep : close) {
    if (!file_) fail();
  }
  void write(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) fail();
  }
  void flush() {
    if (std::fflush(file_.get()) != 0) fail();
  }

 private:
  static void keep(std::FILE*) {}
  static void close(std::FILE* file) { std::fclose(file); }
  [[noreturn]] void fail() const {
    throw Error(fmt::format("cannot write {}: {}", name_, std::generic_category().message(errno)));
  }

  std::string name_;
  std::unique_ptr<std::FILE, void (*)(std::FILE*)> file_;
};

/// Lines that are translated together.
struct Group {
  std::vector<std::string> lines, prefixes;
  std::vector<std::int64_t> numbers;  // of the lines
};

using Translations = std::vector<std::vector<Translation>>;

class Decoding {
 public:
  explicit Decoding(const DecodeOptions& o)
      : o_(o), translator_(o.models, o.threads), input_(o.input), output_(o.output) {
    if (o.n_best > o.beam && !o.sample) {
      throw Error(fmt::format("--n-best {} needs --beam {} or more", o.n_best, o.n_best));
    }
    if (!o.prefixes.empty()) prefixes_.emplace(o.prefixes);
    if (!o.alignment.empty()) alignments_ = std::make_unique<Output>(o.alignment);
    constexpr std::int64_t most = 2000;
    longest_ = std::min(translator_.longest_source(),
                        o.max_tokens > 0 ? o.max_tokens : std::int64_t{most});
  }

  int run() {
    const auto begin = std::chrono::steady_clock::now();
    for (Group group = read(); !group.lines.empty(); group = read()) {
      const Translations all = translated(group);
      for (std::size_t i = 0; i < all.size(); ++i) write(group.numbers[i] - 1, all[i]);
      output_.flush();
      if (alignments_) alignments_->flush();
      lines_ += std::ssize(group.lines);
    }
    if (std::string rest; prefixes_ && prefixes_->next(rest)) {
      throw Error(fmt::format("{} has more lines than {}", prefixes_->name(), input_.name()));
    }
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    if (empty_ > 0) print_message(fmt::format("{} of {} lines were empty", empty_, lines_));
    const std::int64_t count = lines_ - empty_;
    print_message(fmt::format("{} sentences in {:.1f} seconds, {:.1f} a second", count,
                              passed.count(), static_cast<double>(count) / passed.count()));
    return failed_ ? 1 : 0;
  }

 private:
  /// Reads what has come, up to some batches: lines of one length are translated together. Waits
  /// only for the first line.
  Group read() {
    constexpr std::int64_t batches = 16;
    Group group;
    std::string line;
    while (std::ssize(group.lines) < batches * o_.batch &&
           (group.lines.empty() || input_.ready()) && input_.next(line)) {
      group.numbers.push_back(input_.number());
      group.lines.push_back(checked(std::move(line)));
      if (!prefixes_) continue;
      if (!prefixes_->next(line)) {
        throw Error(fmt::format("{} has fewer lines than {}", prefixes_->name(), input_.name()));
      }
      group.prefixes.push_back(line);
    }
    return group;
  }

  /// Returns the line, or an empty one if it cannot be translated.
  std::string checked(std::string line) {
    std::string why(text_fault(line));
    std::size_t tokens = 0;
    if (why.empty()) {
      tokens = translator_.model().source.encode(line).size();
      if (std::cmp_greater(tokens, longest_)) {
        why = fmt::format("{} tokens, over the limit of {}", tokens, longest_);
      }
    }
    if (!why.empty()) {
      tell(input_.number(), why);
      line.clear();
    }
    empty_ += !why.empty() || tokens == 0;
    return line;
  }

  void tell(std::int64_t number, std::string_view why) const {
    print_message(fmt::format("{}:{}: {}, taken for an empty line", input_.name(), number, why));
  }

  TranslationOptions options(std::int64_t first_line) const {
    return {.beam = o_.beam,
            .best = std::max<std::int64_t>(o_.n_best, 1),
            .length_penalty = o_.length_penalty,
            .stop = value_of(o_.stop, stops),
            .max_length = o_.max_length,
            .unknown = value_of(o_.unknown, unknowns),
            .sample = o_.sample,
            .temperature = o_.temperature,
            .top_k = o_.top_k,
            .top_p = o_.top_p,
            .seed = o_.seed,
            .first_line = first_line,
            .batch = o_.batch,
            .attention = alignments_ != nullptr};
  }

  /// Translates the lines. If that fails for one of them, the others are translated all the same.
  Translations translated(const Group& group) {
    TranslationOptions together = options(group.numbers.front() - 1);
    together.prefixes = group.prefixes;
    try {
      return translator_.translate(group.lines, together);
    } catch (const std::exception&) {
      if (group.lines.size() == 1 && group.numbers.front() == 1) throw;
    }
    Translations all;
    std::size_t failures = 0;
    std::string last;
    for (std::size_t i = 0; i < group.lines.size(); ++i) {
      TranslationOptions alone = options(group.numbers[i] - 1);
      if (!group.prefixes.empty()) alone.prefixes = {group.prefixes[i]};
      try {
        all.push_back(translator_.translate({&group.lines[i], 1}, alone).front());
      } catch (const std::exception& error) {
        tell(group.numbers[i], last = error.what());
        all.emplace_back(1);
        ++failures;
      }
    }
    // What fails for every line is no fault of the lines.
    if (failures == group.lines.size()) throw Error(last);
    failed_ = failed_ || failures > 0;
    return all;
  }

  void write(std::int64_t id, const std::vector<Translation>& translations) {
    if (o_.n_best == 0) {
      output_.write(translations.front().text + '\n');
    } else {
      for (const Translation& t : translations) {
        output_.write(fmt::format("{} ||| {} ||| {:.4f} ||| {:.4f}\n", id, t.text,
                                  t.log_probability, t.score));
      }
    }
    if (!alignments_) return;
    for (const Translation& t : translations) {
      if (t.alignment.empty() && !t.tokens.empty()) {
        throw Error("--alignment needs a model with attention");
      }
      // The last one is that of the end mark.
      std::string pairs;
      for (std::size_t i = 0; i + 1 < t.alignment.size(); ++i) {
        pairs += fmt::format("{}{}-{}", i > 0 ? " " : "", t.alignment[i], i);
      }
      alignments_->write(pairs + '\n');
    }
  }

  const DecodeOptions& o_;
  const Translator translator_;
  LineReader input_;
  std::optional<LineReader> prefixes_;
  Output output_;
  std::unique_ptr<Output> alignments_;
  std::int64_t longest_ = 0, lines_ = 0, empty_ = 0;
  bool failed_ = false;
};

}  // namespace

int decode(const DecodeOptions& options) { return Decoding(options).run(); }

}  // namespace rapt::examples
