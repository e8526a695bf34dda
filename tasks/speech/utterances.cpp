#include "tasks/speech/utterances.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <unordered_set>

#include "tasks/text/unicode.hpp"

namespace rapt::tasks {
namespace {

std::vector<std::string> columns(const std::string& line) {
  std::vector<std::string> all{""};
  for (const char c : line) {
    if (c == '\t') {
      all.emplace_back();
    } else {
      all.back() += c;
    }
  }
  return all;
}

std::int64_t gap_of(const std::string& text) {
  std::int64_t gap = 0;
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, gap);
  if (error == std::errc() && last == end && gap >= 0 && gap <= longest_gap) return gap;
  throw std::invalid_argument(
      fmt::format("the gap '{}' is no number of samples of 0 .. {}", text, longest_gap));
}

/// Parses a line. Throws std::invalid_argument for a malformed one.
Utterance parse(const Line& line) {
  const std::vector<std::string> parts = columns(line.text);
  if (parts.size() != 5) {
    throw std::invalid_argument(
        fmt::format("{} columns, expected 5: id, speaker, words, files, gaps", parts.size()));
  }
  const char* names[] = {"id", "speaker", "words", "files", "gaps"};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (split_white_space(parts[i]).empty()) {
      throw std::invalid_argument(fmt::format("the column of the {} is empty", names[i]));
    }
  }
  Utterance utterance{.id = parts[0],
                      .speaker = parts[1],
                      .words = fmt::format("{}", fmt::join(split_white_space(parts[2]), " ")),
                      .files = split_white_space(parts[3]),
                      .gaps = {},
                      .line = line.number};
  const Sentence gaps = split_white_space(parts[4]);
  if (utterance.files.size() > 1 || gaps != Sentence{"-"}) {
    for (const std::string& gap : gaps) utterance.gaps.push_back(gap_of(gap));
  }
  if (utterance.gaps.size() + 1 != utterance.files.size()) {
    throw std::invalid_argument(fmt::format("{} files and {} gaps, expected one gap fewer",
                                            utterance.files.size(), utterance.gaps.size()));
  }
  return utterance;
}

/// Returns the kind of fault, for counting: the text before the details.
std::string kind_of(const std::string& what) { return what.substr(0, what.find_first_of(":'")); }

}  // namespace

std::vector<Utterance> read_utterances(const std::string& path, SkipReport* skipped) {
  std::vector<Utterance> utterances;
  std::unordered_set<std::string> ids;
  for (const Line& line : skipped != nullptr ? read_lines(path, *skipped) : read_lines(path)) {
    try {
      Utterance utterance = parse(line);
      if (!ids.insert(utterance.id).second) {
        throw std::invalid_argument(fmt::format("a second utterance: '{}'", utterance.id));
      }
      utterances.push_back(std::move(utterance));
    } catch (const std::invalid_argument& fault) {
      if (skipped == nullptr) throw TextError(path, line.number, fault.what());
      skipped->add(kind_of(fault.what()), path, line.number);
    }
  }
  if (utterances.empty()) throw TextError(path, 0, "holds no utterance");
  return utterances;
}

const std::vector<float>& Recordings::samples(const std::string& file) {
  const auto known = read_.find(file);
  if (known != read_.end()) return known->second;
  Audio audio = read_audio(folder_ + "/" + file, {.rate = rate_, .most_seconds = most_seconds_});
  rate_ = audio.rate;
  return read_.emplace(file, std::move(audio.samples)).first->second;
}

std::vector<float> Recordings::join(const std::vector<std::string>& files,
                                    const std::vector<std::int64_t>& gaps) const {
  std::vector<float> all;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::vector<float>& part = read_.at(files[i]);
    if (i > 0) all.resize(all.size() + static_cast<std::size_t>(gaps[i - 1]), 0.f);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

void Recordings::read(const Utterance& utterance, const std::string& list) {
  try {
    std::int64_t count = std::accumulate(utterance.gaps.begin(), utterance.gaps.end(), 0ll);
    for (const std::string& file : utterance.files) count += std::ssize(samples(file));
    const double seconds = static_cast<double>(count) / rate_;
    if (seconds > most_seconds_) {
      throw AudioError(utterance.id, fmt::format("takes {:.2f} seconds, the most are {:.2f}",
                                                 seconds, most_seconds_));
    }
  } catch (const AudioError& fault) {
    throw TextError(list, utterance.line, fault.what());
  }
}

std::vector<Utterance> Recordings::readable(std::vector<Utterance> utterances,
                                            const std::string& list, SkipReport* skipped) {
  std::erase_if(utterances, [&](const Utterance& utterance) {
    try {
      read(utterance, list);
      return false;
    } catch (const TextError&) {
      if (skipped == nullptr) throw;
      skipped->add("with recordings that cannot be used", list, utterance.line);
      return true;
    }
  });
  if (utterances.empty()) throw TextError(list, 0, "holds no utterance that can be used");
  return utterances;
}

}  // namespace rapt::tasks
