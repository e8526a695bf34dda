#include "tasks/speech/utterances.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
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

std::string joined_words(std::string_view text) {
  return fmt::format("{}", fmt::join(split_white_space(text), " "));
}

/// Parses a line of five columns. Throws std::invalid_argument for a malformed one.
Utterance parse_columns(const Line& line) {
  const std::vector<std::string> parts = columns(line.text);
  if (parts.size() != 5) {
    throw std::invalid_argument(
        fmt::format("{} columns, expected 5: id, speaker, words, files, gaps", parts.size()));
  }
  for (const auto& [column, name] :
       {std::pair(0, "id"), std::pair(3, "files"), std::pair(4, "gaps")}) {
    if (split_white_space(parts[static_cast<std::size_t>(column)]).empty()) {
      throw std::invalid_argument(fmt::format("the column of the {} is empty", name));
    }
  }
  Utterance utterance{.id = parts[0],
                      .speaker = parts[1],
                      .words = joined_words(parts[2]),
                      .files = {parts[3]},
                      .gaps = {},
                      .line = line.number};
  const Sentence gaps = split_white_space(parts[4]);
  if (gaps == Sentence{"-"}) return utterance;
  utterance.files = split_white_space(parts[3]);
  for (const std::string& gap : gaps) utterance.gaps.push_back(gap_of(gap));
  if (utterance.gaps.size() + 1 != utterance.files.size()) {
    throw std::invalid_argument(fmt::format("{} files and {} gaps, expected one gap fewer",
                                            utterance.files.size(), utterance.gaps.size()));
  }
  return utterance;
}

/// Parses a line that is a JSON object. Throws std::invalid_argument for a malformed one.
Utterance parse_json(const Line& line) {
  const nlohmann::json object = nlohmann::json::parse(line.text, nullptr, false);
  if (!object.is_object()) throw std::invalid_argument("no JSON object");
  const auto text = [&](std::initializer_list<const char*> names) -> std::string {
    for (const char* name : names) {
      const auto found = object.find(name);
      if (found == object.end()) continue;
      if (!found->is_string()) throw std::invalid_argument(fmt::format("\"{}\" is no text", name));
      return found->get<std::string>();
    }
    return "";
  };
  Utterance utterance{.id = text({"id", "utt_id", "key"}),
                      .speaker = text({"speaker", "speaker_id", "spk_id"}),
                      .words = joined_words(text({"text", "words"})),
                      .files = {text({"audio_filepath", "wav", "audio"})},
                      .gaps = {},
                      .line = line.number};
  if (utterance.files.front().empty()) {
    throw std::invalid_argument("the object has no \"audio_filepath\"");
  }
  if (utterance.id.empty()) utterance.id = utterance.files.front();
  return utterance;
}

/// Splits a line of Kaldi's at its first blanks: an id, and the rest.
std::pair<std::string, std::string> split_id(const std::string& text) {
  constexpr std::string_view blanks = " \t";
  const std::size_t end = std::min(text.find_first_of(blanks), text.size());
  const std::size_t rest = std::min(text.find_first_not_of(blanks, end), text.size());
  return {text.substr(0, end), text.substr(rest)};
}

Utterance parse_scp(const Line& line) {
  auto [id, file] = split_id(line.text);
  while (file.ends_with(' ')) file.pop_back();
  if (id.empty() || file.empty()) throw std::invalid_argument("expected an id and a path");
  if (file.ends_with('|')) {
    throw std::invalid_argument("a command in place of a path, and no commands are run");
  }
  return {.id = id, .speaker = "", .words = "", .files = {file}, .gaps = {}, .line = line.number};
}

/// Returns the kind of fault, for counting: the text before the details.
std::string kind_of(const std::string& what) { return what.substr(0, what.find_first_of(":'")); }

/// Reads a file of ids and values of a Kaldi folder, if it is there.
std::unordered_map<std::string, std::string> read_values(const std::string& path) {
  std::unordered_map<std::string, std::string> values;
  if (!std::filesystem::exists(path)) return values;
  for (const Line& line : read_lines(path)) {
    auto [id, value] = split_id(line.text);
    if (!values.emplace(id, value).second) {
      throw TextError(path, line.number, fmt::format("a second line of '{}'", id));
    }
  }
  return values;
}

}  // namespace

std::vector<Utterance> read_utterances(const std::string& path, SkipReport* skipped,
                                       const UtteranceListOptions& options) {
  const bool kaldi = std::filesystem::is_directory(path);
  const std::string list = kaldi ? path + "/wav.scp" : path;
  std::unordered_map<std::string, std::string> words, speakers;
  if (kaldi) {
    words = read_values(path + "/text");
    speakers = read_values(path + "/utt2spk");
  }
  std::vector<Utterance> utterances;
  std::unordered_set<std::string> ids;
  for (const Line& line : skipped != nullptr ? read_lines(list, *skipped) : read_lines(list)) {
    try {
      Utterance utterance = kaldi                        ? parse_scp(line)
                            : line.text.starts_with('{') ? parse_json(line)
                                                         : parse_columns(line);
      if (const auto found = words.find(utterance.id); found != words.end()) {
        utterance.words = joined_words(found->second);
      }
      if (const auto found = speakers.find(utterance.id); found != speakers.end()) {
        utterance.speaker = found->second;
      }
      if (options.needs_words && utterance.words.empty()) {
        throw std::invalid_argument("no words, which training needs");
      }
      if (!ids.insert(utterance.id).second) {
        throw std::invalid_argument(fmt::format("a second utterance: '{}'", utterance.id));
      }
      utterances.push_back(std::move(utterance));
    } catch (const std::invalid_argument& fault) {
      if (skipped == nullptr) throw TextError(list, line.number, fault.what());
      skipped->add(kind_of(fault.what()), list, line.number, fault.what());
    }
  }
  if (utterances.empty()) {
    const bool any = skipped != nullptr && skipped->count() > 0;
    throw TextError(
        list, 0,
        any ? fmt::format("holds no utterance ({})", skipped->message()) : "holds no utterance");
  }
  return utterances;
}

const std::vector<float>& Recordings::samples(const std::string& file) {
  const auto known = read_.find(file);
  if (known != read_.end()) return known->second;
  const std::string path = file.starts_with('/') ? file : folder_ + "/" + file;
  Audio audio = read_audio(path, {.rate = rate_,
                                  .most_seconds = most_seconds_,
                                  .resample = options_.resample,
                                  .mix = options_.mix});
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
    } catch (const TextError& fault) {
      if (skipped == nullptr) throw;
      const std::string place = fmt::format("{}:{}: ", list, utterance.line);
      skipped->add("recordings that cannot be used", list, utterance.line,
                   std::string(fault.what()).substr(place.size()));
      return true;
    }
  });
  if (utterances.empty()) {
    throw TextError(list, 0,
                    fmt::format("holds no utterance that can be used ({})", skipped->message()));
  }
  return utterances;
}

}  // namespace rapt::tasks
