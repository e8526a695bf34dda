#include "tasks/text/reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "tasks/data/file_kinds.hpp"
#include "tasks/text/utf8.hpp"

namespace rapt::tasks {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF", gzip_mark = "\x1F\x8B";
constexpr std::size_t block = 1 << 16;
constexpr std::size_t enough_for_kind = 300;

std::string reason_of(int error) { return std::generic_category().message(error); }

/// True if every other byte of a beginning is mostly zero, as in UTF-16 of most languages.
bool looks_like_utf16(std::string_view begin) {
  std::size_t zeros[2] = {0, 0};
  for (std::size_t i = 0; i < begin.size(); ++i) zeros[i % 2] += begin[i] == '\0';
  const std::size_t most = std::max(zeros[0], zeros[1]), least = std::min(zeros[0], zeros[1]);
  return most > begin.size() / 4 && least <= begin.size() / 16;
}

}  // namespace

struct ByteSource::State {
  std::string name;
  bool is_file = true;
  int fd = -1;
  std::array<char, block> raw{};
  std::string_view rest;  // of `raw`, not yet used
  bool started = false, zipped = false, within = false, ended = false;
  z_stream stream{};

  ~State() {
    if (zipped) inflateEnd(&stream);
    if (fd > 0) ::close(fd);
  }

  [[noreturn]] void fail(const std::string& what) const { throw TextError(name, 0, what); }

  /// Reads a block behind what is left. Returns false at the end of the file.
  bool more() {
    std::copy(rest.begin(), rest.end(), raw.begin());
    const std::size_t kept = rest.size();
    ssize_t n = -1;
    do {
      n = ::read(fd, raw.data() + kept, raw.size() - kept);
    } while (n < 0 && errno == EINTR);
    if (n < 0) fail(fmt::format("cannot read: {}", reason_of(errno)));
    rest = std::string_view(raw.data(), kept + static_cast<std::size_t>(n));
    return n > 0;
  }

  void start() {
    started = true;
    while (rest.size() < gzip_mark.size() && more()) {
    }
    if (rest.starts_with(gzip_mark)) {
      // 15 bits of window, and 16 for the gzip format.
      if (inflateInit2(&stream, 15 + 16) != Z_OK) throw std::bad_alloc();
      zipped = within = true;
    } else if (is_file && name.ends_with(".gz")) {
      fail("named .gz, but holds no gzip data");
    }
  }

  bool inflate_some(std::string& to) {
    for (;;) {
      if (!within) {  // behind a gzip file: another one, or bytes that do not count
        while (rest.size() < gzip_mark.size() && more()) {
        }
        if (!rest.starts_with(gzip_mark)) return false;
        inflateReset(&stream);
        within = true;
      }
      if (rest.empty() && !more()) fail("truncated: the file ends within its gzip data");
      const std::size_t before = to.size();
      to.resize(before + block);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));
      stream.avail_in = static_cast<uInt>(rest.size());
      stream.next_out = reinterpret_cast<Bytef*>(to.data() + before);
      stream.avail_out = static_cast<uInt>(block);
      const int status = ::inflate(&stream, Z_NO_FLUSH);
      rest.remove_prefix(rest.size() - stream.avail_in);
      to.resize(before + block - stream.avail_out);
      if (status == Z_MEM_ERROR) throw std::bad_alloc();
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
        fail("damaged gzip data");
      }
      within = status != Z_STREAM_END;
      if (to.size() > before) return true;
    }
  }
};

ByteSource::ByteSource(const std::string& path) : state_(std::make_unique<State>()) {
  state_->is_file = path != standard_input;
  state_->name = state_->is_file ? path : "standard input";
  state_->fd = state_->is_file ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
  if (state_->fd < 0) state_->fail(fmt::format("cannot open: {}", reason_of(errno)));
}
ByteSource::~ByteSource() = default;
ByteSource::ByteSource(ByteSource&&) noexcept = default;

const std::string& ByteSource::name() const { return state_->name; }

bool ByteSource::ready() const {
  if (state_->ended || !state_->rest.empty()) return true;
  pollfd wanted{state_->fd, POLLIN, 0};
  return ::poll(&wanted, 1, 0) != 0;  // an error is for read() to report
}

bool ByteSource::read(std::string& to) {
  State& s = *state_;
  if (!s.started) s.start();
  if (s.ended) return false;
  if (s.zipped) {
    s.ended = !s.inflate_some(to);
    return !s.ended;
  }
  if (s.rest.empty() && !s.more()) {
    s.ended = true;
    return false;
  }
  to += s.rest;
  s.rest = {};
  return true;
}

std::string read_bytes(const std::string& path, std::int64_t most) {
  ByteSource source(path);
  std::string bytes;
  while (source.read(bytes)) {
    if (std::ssize(bytes) > most) {
      throw TextError(source.name(), 0, fmt::format("holds more than {} bytes, the limit", most));
    }
  }
  return bytes;
}

LineReader::LineReader(const std::string& path) : source_(path) {
  // A short line that has come is enough to go on with.
  while (bytes_.size() < enough_for_kind && bytes_.find('\n') == bytes_.npos && fill()) {
  }
  check_kind();
  if (bytes_.starts_with(byte_order_mark)) begin_ = searched_ = byte_order_mark.size();
}

bool LineReader::fill() {
  if (!ended_) ended_ = !source_.read(bytes_);
  return !ended_;
}

bool LineReader::ready() const {
  return ended_ || bytes_.find(end_, searched_) != bytes_.npos || source_.ready();
}

void LineReader::check_kind() const {
  const std::string_view begin = std::string_view(bytes_).substr(0, enough_for_kind);
  std::string kind = kind_of_bytes(begin);
  if (kind.empty() && looks_like_utf16(begin)) {
    kind = fmt::format(
        "is UTF-16 text without a mark, expected UTF-8: convert it with iconv -f UTF-16{} -t UTF-8",
        begin.starts_with('\0') ? "BE" : "LE");
  }
  if (!kind.empty()) throw TextError(name(), 0, kind);
}

bool LineReader::next(std::string& line) {
  std::size_t end = bytes_.npos;
  while ((end = bytes_.find(end_, searched_)) == bytes_.npos) {
    searched_ = bytes_.size();
    if (begin_ > 0) {
      bytes_.erase(0, begin_);
      searched_ -= std::exchange(begin_, 0);
    }
    if (fill()) continue;
    // The whole text is one line by its LF: perhaps its lines end in CR.
    if (number_ > 0 || end_ == '\r' || bytes_.find('\r') >= bytes_.size() - 1) break;
    end_ = '\r';
    searched_ = begin_;
  }
  if (end == bytes_.npos) end = bytes_.size();
  if (begin_ >= bytes_.size()) return false;
  line.assign(bytes_, begin_, end - begin_);
  begin_ = searched_ = std::min(end + 1, bytes_.size());
  ++number_;
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

std::vector<Line> read_raw_lines(const std::string& path) {
  LineReader reader(path);
  std::vector<Line> lines;
  for (std::string line; reader.next(line);) lines.push_back({line, reader.number()});
  return lines;
}

std::string_view text_fault(std::string_view line) {
  if (line.find('\0') != line.npos) return "a zero byte";
  return is_valid_utf8(line) ? "" : "invalid UTF-8";
}

std::vector<Line> read_lines(const std::string& path) {
  std::vector<Line> lines = read_raw_lines(path);
  for (const Line& line : lines) {
    const std::string_view fault = text_fault(line.text);
    if (fault.empty()) continue;
    const bool zero = line.text.find('\0') != line.text.npos;
    throw TextError(path == standard_input ? "standard input" : path, line.number,
                    fmt::format("{}: {}", fault,
                                zero ? "is it UTF-16, or no text at all?"
                                     : "is it Latin-1? Convert it with iconv -f LATIN1 -t UTF-8"));
  }
  return lines;
}

std::vector<Line> read_lines(const std::string& path, SkipReport& skipped) {
  std::vector<Line> lines = read_raw_lines(path);
  std::erase_if(lines, [&](const Line& line) {
    const std::string_view fault = text_fault(line.text);
    if (!fault.empty()) skipped.add(fault, path, line.number);
    return !fault.empty();
  });
  return lines;
}

}  // namespace rapt::tasks
