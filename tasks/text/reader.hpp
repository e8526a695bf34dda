// Reads files and standard input alike: bytes, and lines of text.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/text/text_error.hpp"

namespace rapt::tasks {

/// The path that stands for standard input.
inline constexpr std::string_view standard_input = "-";

/// The bytes of a file or of standard input, plain or gzip. The first bytes tell which. Several
/// gzip files in a row are one, and bytes behind the last one are ignored.
class ByteSource {
 public:
  /// Throws TextError if the file cannot be opened.
  explicit ByteSource(const std::string& path);
  ~ByteSource();
  ByteSource(ByteSource&&) noexcept;

  /// Appends some bytes, as soon as there are any. Returns false at the end. Throws TextError for
  /// what cannot be read, for damaged or truncated gzip data, and for a file that is named .gz but
  /// holds none.
  bool read(std::string& to);
  /// Returns false if read() would wait, because no bytes have come yet.
  bool ready() const;
  /// Returns the path, or "standard input".
  const std::string& name() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Returns the bytes of a file, plain or gzip. Throws TextError as ByteSource does, and if there
/// are more than `most` bytes after unpacking.
std::string read_bytes(const std::string& path,
                       std::int64_t most = std::numeric_limits<std::int64_t>::max());

/// The lines of a text, one after another. Drops a byte order mark at the start and CR before LF. A
/// text without LF has lines that end in CR.
class LineReader {
 public:
  /// Opens a file or standard input. Throws TextError as ByteSource does. Throws it too for files
  /// of another kind, such as UTF-16 text, xz, or a Git LFS pointer.
  explicit LineReader(const std::string& path);

  /// Reads the next line, which need not be text. Returns false at the end. Reads no further
  /// than it must, so lines can be answered as they come. Throws TextError as ByteSource does.
  bool next(std::string& line);
  /// Returns false if next() would wait, because nothing of the next line has come yet.
  bool ready() const;
  /// Returns the number of the last line, from 1.
  std::int64_t number() const { return number_; }
  const std::string& name() const { return source_.name(); }

 private:
  bool fill();
  void check_kind() const;

  ByteSource source_;
  std::string bytes_;
  std::size_t begin_ = 0, searched_ = 0;  // where the next line begins, and how far it has no end
  bool ended_ = false;
  char end_ = '\n';
  std::int64_t number_ = 0;
};

/// A line without its line ending, and its number in the file, from 1.
struct Line {
  std::string text;
  std::int64_t number;
};

/// Returns the lines of a text, valid or not. Throws TextError as LineReader does.
std::vector<Line> read_raw_lines(const std::string& path);

/// Says why a line is no text: "invalid UTF-8" or "a zero byte". Returns an empty text if it is.
std::string_view text_fault(std::string_view line);

/// Returns the lines of a UTF-8 text. Throws TextError as LineReader does, and for a line that is
/// no text. The second form skips and counts such lines.
std::vector<Line> read_lines(const std::string& path);
std::vector<Line> read_lines(const std::string& path, SkipReport& skipped);

}  // namespace rapt::tasks
