#include "tasks/text/subwords.hpp"

#include "tasks/text/text.hpp"

#if RAPT_HAS_SENTENCEPIECE
#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <unordered_map>

#include "tasks/data/files.hpp"

namespace rapt::tasks {

struct Subwords::State {
  std::string model;  // in the file's format
  sentencepiece::SentencePieceProcessor processor;
};

namespace {

class Lines : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(std::span<const std::string> lines) : lines_(lines) {}
  bool done() const override { return next_ >= lines_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return lines_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::span<const std::string> lines_;
  std::size_t next_ = 0;
};

// For calls that cannot fail, because the model is valid and the ids are in range.
void check(const sentencepiece::util::Status& status, const char* what) {
  if (!status.ok()) throw std::runtime_error(fmt::format("{}: {}", what, status.ToString()));
}

/// Says in plain words what the commonest error of SentencePiece means.
std::string explained(const std::string& message) {
  const std::string mark = "smaller than required_chars. ", against = " vs ";
  const std::size_t at = message.find(mark), number = message.find(against, at);
  if (at == message.npos || number == message.npos) return message;
  const std::string_view rest = std::string_view(message).substr(number + against.size());
  return fmt::format("its characters and the special tokens alone are {}, so ask for more pieces",
                     rest.substr(0, rest.find_first_not_of("0123456789")));
}

}  // namespace

Subwords Subwords::train(std::span<const std::string> lines, const SubwordOptions& options) {
  Lines iterator(lines);
  std::unordered_map<std::string, std::string> arguments = {
      {"vocab_size", std::to_string(options.size)},
      // A small text has fewer pieces than asked for. Then there are as many as it has.
      {"hard_vocab_limit", "false"},
      {"model_type", options.kind == SubwordKind::bpe ? "bpe" : "unigram"},
      {"character_coverage", "1.0"},
      {"normalization_rule_name", options.normalise ? "nmt_nfkc" : "identity"},
      {"pad_id", std::to_string(Vocabulary::pad)},
      {"unk_id", std::to_string(Vocabulary::unknown)},
      {"bos_id", std::to_string(Vocabulary::begin)},
      {"eos_id", std::to_string(Vocabulary::end)},
      // A fixed number: the split of the work affects rounding, and so the pieces.
      {"num_threads", "4"},
      {"minloglevel", "2"}};
  // SentencePiece uses the tab for itself and learns none, unless it is told to.
  const auto has_tab = [](const std::string& line) { return line.find('\t') != line.npos; };
  if (!options.normalise && std::any_of(lines.begin(), lines.end(), has_tab)) {
    arguments["user_defined_symbols"] = "\t";
  }
  auto state = std::make_shared<State>();
  const auto status =
      sentencepiece::SentencePieceTrainer::Train(arguments, &iterator, &state->model);
  if (!status.ok()) {
    throw std::invalid_argument(
        fmt::format("SentencePiece cannot learn {} pieces from {} lines: {}", options.size,
                    lines.size(), explained(status.ToString())));
  }
  check(state->processor.LoadFromSerializedProto(state->model), "SentencePiece");
  return Subwords(std::move(state));
}

void Subwords::save(const std::string& path) const { write_file_atomically(path, state_->model); }

Subwords Subwords::load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw TextError(path, 0, "cannot open");
  auto state = std::make_shared<State>();
  state->model.assign(std::istreambuf_iterator<char>(file), {});
  if (file.bad()) throw TextError(path, 0, "cannot read");
  const auto status = state->processor.LoadFromSerializedProto(state->model);
  const auto& p = state->processor;
  if (!status.ok() || p.GetPieceSize() < 4) throw TextError(path, 0, "is no SentencePiece model");
  if (p.pad_id() != Vocabulary::pad || p.unk_id() != Vocabulary::unknown ||
      p.bos_id() != Vocabulary::begin || p.eos_id() != Vocabulary::end) {
    throw TextError(
        path, 0,
        fmt::format("a SentencePiece model with other ids for pad, unk, bos and eos "
                    "than {}, {}, {} and {}",
                    Vocabulary::pad, Vocabulary::unknown, Vocabulary::begin, Vocabulary::end));
  }
  return Subwords(std::move(state));
}

std::int32_t Subwords::size() const { return state_->processor.GetPieceSize(); }

std::string Subwords::piece(std::int32_t id) const {
  if (id < 0 || id >= size()) {
    throw std::out_of_range(fmt::format("piece {} of a model of {} pieces", id, size()));
  }
  return state_->processor.IdToPiece(id);
}

std::vector<std::int32_t> Subwords::encode(std::string_view text) const {
  std::vector<int> ids;
  check(state_->processor.Encode(text, &ids), "SentencePiece");
  return ids;
}

std::vector<Segmentation> Subwords::segmentations(std::string_view text, std::int32_t most,
                                                  double alpha) const {
  const sentencepiece::ImmutableNBestSentencePieceText found =
      state_->processor.NBestEncodeAsImmutableProto(text, most);
  if (found.nbests_size() == 0 && !encode(text).empty()) {
    throw std::invalid_argument("only a unigram model has several ways to cut a text");
  }
  std::vector<Segmentation> all;
  double sum = 0;
  for (const sentencepiece::ImmutableSentencePieceText& one : found.nbests()) {
    Segmentation& segmentation = all.emplace_back();
    for (const auto& piece : one.pieces()) {
      segmentation.pieces.push_back(static_cast<std::int32_t>(piece.id()));
    }
    const double less = one.score() - found.nbests(0).score();  // log likelihood relative to the
                                                                // best
    sum += segmentation.share = std::exp(alpha * less);
  }
  for (Segmentation& segmentation : all) segmentation.share /= sum;
  return all;
}

std::string Subwords::decode(std::span<const std::int32_t> ids) const {
  std::vector<int> pieces;
  for (const std::int32_t id : ids) {
    if (id == Vocabulary::end) break;
    piece(id);  // throws if out of range
    if (id != Vocabulary::pad && id != Vocabulary::begin) pieces.push_back(id);
  }
  std::string text;
  check(state_->processor.Decode(pieces, &text), "SentencePiece");
  return text;
}

}  // namespace rapt::tasks
#else
// Without SentencePiece nothing makes an object of this class.
#include <cstdlib>

namespace rapt::tasks {

struct Subwords::State {};

Subwords Subwords::train(std::span<const std::string>, const SubwordOptions&) {
  throw std::invalid_argument("this rapt was built without SentencePiece");
}

Subwords Subwords::load(const std::string& path) {
  throw TextError(path, 0, "this rapt was built without SentencePiece");
}

void Subwords::save(const std::string&) const { std::abort(); }
std::int32_t Subwords::size() const { std::abort(); }
std::string Subwords::piece(std::int32_t) const { std::abort(); }
std::vector<std::int32_t> Subwords::encode(std::string_view) const { std::abort(); }
std::string Subwords::decode(std::span<const std::int32_t>) const { std::abort(); }
std::vector<Segmentation> Subwords::segmentations(std::string_view, std::int32_t, double) const {
  std::abort();
}

}  // namespace rapt::tasks
#endif
