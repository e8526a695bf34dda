#include "tasks/draw/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "tasks/draw/messages.hpp"
#include "tasks/text/utf8.hpp"

namespace rapt::tasks {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr std::chrono::milliseconds redraw_interval{100};

bool is_terminal(int fd) {
  const char* name = std::getenv("TERM");
  return ::isatty(fd) == 1 && (name == nullptr || std::string_view(name) != "dumb");
}

int columns(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// Formats "1:05", "2:07:09"; days count as hours.
std::string clock_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::clamp(seconds, 0.0, 3.6e9) + 0.5);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string rate_text(double rate) {
  if (rate >= 1e6) return fmt::format("{:.2f}M", rate / 1e6);
  if (rate >= 1e4) return fmt::format("{:.1f}k", rate / 1e3);
  if (rate >= 100) return fmt::format("{:.0f}", rate);
  return fmt::format("{:.3g}", rate);
}

std::string bar_text(double share, int width, bool unicode) {
  const auto repeat = [](std::string_view glyph, int n) {
    std::string text;
    for (int i = 0; i < n; ++i) text += glyph;
    return text;
  };
  if (!unicode) {
    const int full = static_cast<int>(share * width);
    return fmt::format("[{}{}]", repeat("#", full), repeat(".", width - full));
  }
  // Blocks of one to eight eighths of a column.
  constexpr std::array<std::string_view, 8> parts = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(share * width * 8);
  const int full = eighths / 8;
  const std::string_view part = parts[static_cast<std::size_t>(eighths % 8)];
  return fmt::format("▕{}{}{}▏", repeat("█", full), part,
                     repeat(" ", width - full - (part.empty() ? 0 : 1)));
}

std::atomic<bool> interrupt_installed{false};
std::atomic<int> interrupt_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may use no lock");
constexpr std::array interrupt_signals{SIGINT, SIGTERM, SIGHUP};
std::array<struct sigaction, interrupt_signals.size()> previous_actions;

void on_interrupt(int signal) { interrupt_signal = signal; }

}  // namespace

Progress::Progress(std::int64_t total, std::string label, ProgressOptions options)
    : total_(std::max<std::int64_t>(total, 0)),
      done_(options.start),
      label_(printable(label)),
      options_(std::move(options)),
      terminal_(is_terminal(options_.fd)),
      unicode_(locale_is_utf8()),
      begun_(Clock::now()),
      rate_time_(begun_),
      drawn_time_(begun_) {}

Progress::~Progress() {
  try {
    draw(true);
  } catch (const std::exception&) {
    // Out of memory for a line of text is no reason to end the program.
  }
}

void Progress::count(std::int64_t units) {
  counted_ = true;
  units_ += units;
}

void Progress::update(std::int64_t done, std::initializer_list<Field> fields) {
  done_ = done;
  if (!counted_) units_ = done - options_.start;
  fields_.clear();
  for (const Field& field : fields) {
    fields_ += fmt::format("  {} {:.4g}", printable(field.name), field.value);
  }
  const auto interval = terminal_ ? redraw_interval : options_.line_interval;
  // The first bar appears at once, the first plain line after an interval.
  if ((terminal_ && !drawn_) || Clock::now() - drawn_time_ >= interval) draw(false);
}

void Progress::message(std::string_view text) {
  const std::string line = printable(text) + "\n";
  if (!terminal_ || !drawn_) {
    write(line);
    return;
  }
  write(fmt::format("\r\x1b[K{}", line));
  draw_terminal(numbers(Clock::now(), false));
}

// Updates a mean over about the last five seconds: steady to read, but quick to follow changes.
void Progress::measure_rate(Clock::time_point now) {
  const double seconds = Seconds(now - rate_time_).count();
  if (seconds <= 0) return;
  const double latest = static_cast<double>(units_ - rate_units_) / seconds;
  const double old_share = rate_time_ == begun_ ? 0 : std::exp(-seconds / 5);
  rate_ = old_share * rate_ + (1 - old_share) * latest;
  rate_time_ = now;
  rate_units_ = units_;
}

std::string Progress::numbers(Clock::time_point now, bool last) const {
  const double elapsed = Seconds(now - begun_).count();
  // At the end the rate is that of the whole run, before it that of the last seconds.
  const double rate = last && elapsed > 0 ? static_cast<double>(units_) / elapsed : rate_;
  std::string text = total_ > 0 ? fmt::format("{}/{}", done_, total_) : fmt::format("{}", done_);
  text += fields_;
  text += fmt::format("  {} {}/s", rate_text(rate), counted_ ? options_.unit : "steps");
  const std::int64_t steps = done_ - options_.start;
  if (last) {
    text += fmt::format("  in {}", clock_text(elapsed));
  } else if (total_ > 0 && steps > 0) {
    const double left = elapsed * static_cast<double>(total_ - done_) / static_cast<double>(steps);
    text += fmt::format("  {} left", clock_text(left));
  }
  return text;
}

void Progress::draw(bool last) {
  const auto now = Clock::now();
  measure_rate(now);
  const std::string text = numbers(now, last);
  if (terminal_) {
    draw_terminal(text);
    if (last) write("\n");
  } else {
    const std::int64_t percent =
        total_ > 0 ? std::clamp<std::int64_t>(100 * done_ / total_, 0, 100) : 0;
    const std::string share = total_ > 0 ? fmt::format("{:3}%  ", percent) : "";
    write(fmt::format("{}  {}{}\n", label_, share, text));
  }
  drawn_ = true;
  drawn_time_ = now;
}

void Progress::draw_terminal(const std::string& numbers) {
  // The last column stays empty, because some terminals wrap when it is filled.
  const int width = std::max(columns(options_.fd) - 1, 1);
  std::string line = label_ + "  ";
  if (total_ > 0) {
    const double share =
        std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
    const std::string percent = fmt::format("{:3}%  ", static_cast<int>(share * 100));
    constexpr int frame = 3, narrowest = 5, widest = 40;
    const int room =
        width - display_width(line) - display_width(percent) - display_width(numbers) - frame;
    if (room >= narrowest) line += bar_text(share, std::min(room, widest), unicode_) + " ";
    line += percent;
  }
  line += numbers;
  // A single write, so that no other output comes between the parts of the line.
  write(fmt::format("\r{}\x1b[K", cut_to_width(line, width)));
}

void Progress::write(std::string_view text) const { write_message(options_.fd, text); }

Interrupt::Interrupt() {
  if (interrupt_installed.exchange(true)) {
    throw std::logic_error("there is an Interrupt already");
  }
  interrupt_signal = 0;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  // The first signal restores the default action, so the second ends the program.
  action.sa_flags = static_cast<int>(static_cast<unsigned>(SA_RESETHAND) | SA_RESTART);
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < interrupt_signals.size(); ++i) {
    sigaction(interrupt_signals[i], nullptr, &previous_actions[i]);
    if (previous_actions[i].sa_handler == SIG_IGN) continue;
    sigaction(interrupt_signals[i], &action, nullptr);
  }
}

Interrupt::~Interrupt() {
  for (std::size_t i = 0; i < interrupt_signals.size(); ++i) {
    sigaction(interrupt_signals[i], &previous_actions[i], nullptr);
  }
  interrupt_installed = false;
}

bool Interrupt::requested() const noexcept { return interrupt_signal != 0; }

int Interrupt::signal() const noexcept { return interrupt_signal; }

std::string Interrupt::cause() const {
  switch (signal()) {
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP, as from a lost terminal";
    default:
      return "Ctrl-C";
  }
}

}  // namespace rapt::tasks
