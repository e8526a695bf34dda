#include "tasks/draw/progress.hpp"

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <limits>
#include <thread>
#include <vector>

#include "tasks/draw/messages.hpp"
#include "tasks/text/utf8.hpp"
#include "tests/support/catch.hpp"

using namespace rapt::tasks;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

// Two ends of a pipe or a pseudo terminal: what is written to `in` is read at `out`.
struct Ends {
  int in, out;

  static Ends pipe() {
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    return make(fds[1], fds[0]);
  }

  static Ends terminal(int columns) {
    int out = -1, in = -1;
    winsize size{};
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = 24;
    REQUIRE(::openpty(&out, &in, nullptr, nullptr, &size) == 0);
    return make(in, out);
  }

  ~Ends() {
    ::close(in);
    ::close(out);
  }

  std::string read() const {
    std::string text;
    char block[4096];
    for (ssize_t n = 0; (n = ::read(out, block, sizeof block)) > 0;) {
      text.append(block, static_cast<std::size_t>(n));
    }
    return text;
  }

 private:
  static Ends make(int in, int out) {
    ::fcntl(out, F_SETFL, O_NONBLOCK);
    return {in, out};
  }
};

// The variables that tell what a terminal can do.
struct Environment {
  explicit Environment(const char* locale) {
    ::setenv("LC_ALL", locale, 1);
    ::setenv("TERM", "xterm", 1);
  }
  ~Environment() { ::unsetenv("LC_ALL"); }
};

// The lines that a bar drew one over the other, without the escape that erases the rest.
std::vector<std::string> frames(const std::string& text) {
  std::vector<std::string> out;
  std::string frame;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 3, "\x1b[K") == 0) {
      i += 2;
      continue;
    }
    if (text[i] != '\r' && text[i] != '\n') {
      frame += text[i];
    } else if (!frame.empty()) {
      out.push_back(std::exchange(frame, ""));
    }
  }
  if (!frame.empty()) out.push_back(frame);
  return out;
}

}  // namespace

TEST_CASE("A pipe gets plain lines, and few of them") {
  const Ends pipe = Ends::pipe();
  {
    Progress bar(1000, "train", {.fd = pipe.in});
    for (int i = 1; i <= 1000; ++i) bar.update(i, {{"loss", 2.5 / i}});
    CHECK(pipe.read().empty());  // the interval of ten seconds has not passed
  }
  const std::string text = pipe.read();
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  CHECK(text.find_first_of("\r\x1b") == std::string::npos);
  CHECK_THAT(text,
             Contains("train  100%  1000/1000  loss 0.0025  ") && Contains(" steps/s  in 0:0"));
}

TEST_CASE("A pipe gets a line per interval") {
  const Ends pipe = Ends::pipe();
  {
    Progress bar(4, "train", {.fd = pipe.in, .unit = "words", .line_interval = 20ms});
    for (int i = 1; i <= 4; ++i) {
      std::this_thread::sleep_for(25ms);
      bar.count(1000);
      bar.update(i, {{"loss", 1}});
      bar.update(i, {{"loss", 2}});  // too early for a line
    }
  }
  const std::string text = pipe.read();
  CHECK(std::count(text.begin(), text.end(), '\n') == 5);
  CHECK_THAT(text, Contains(" 25%  1/4  loss 1  ") && Contains("k words/s  ") &&
                       Contains("0:00 left\n") && Contains("loss 2"));
}

TEST_CASE("A terminal gets one line, drawn again at most ten times a second") {
  const Environment environment("C");
  const Ends terminal = Ends::terminal(100);
  const auto begun = std::chrono::steady_clock::now();
  std::string text;
  {
    Progress bar(2000, "train", {.fd = terminal.in});
    for (int i = 1; i <= 1000; ++i) {
      bar.update(i, {{"loss", 3.25}});
      if (i % 10 == 0) std::this_thread::sleep_for(3ms);
      text += terminal.read();
    }
  }
  text += terminal.read();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
  const auto drawn = frames(text);
  CHECK(drawn.size() >= 3);
  CHECK(static_cast<double>(drawn.size()) <= 10 * seconds.count() + 2);
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  CHECK(text.ends_with("\n"));
  CHECK_THAT(drawn.front(), Contains("train  [....") && Contains("]   0%  1/2000  loss 3.25"));
  CHECK_THAT(drawn[1], Contains("#") && Contains(" left"));
  CHECK_THAT(drawn.back(), Contains(" 50%  1000/2000"));  // the last state, also when cut short
  const auto hashes = std::count(drawn.back().begin(), drawn.back().end(), '#');
  const auto dots = std::count(drawn.back().begin(), drawn.back().end(), '.');
  CHECK(hashes >= 10);
  CHECK(std::abs(hashes - dots) <= 4);  // dots of numbers among them
}

TEST_CASE("No window is too narrow") {
  const Environment environment("C.UTF-8");
  for (const int columns : {1, 2, 7, 20, 33, 48, 60, 80, 200}) {
    CAPTURE(columns);
    const Ends terminal = Ends::terminal(columns);
    {
      Progress bar(10, "entraînement 日本語", {.fd = terminal.in});
      bar.update(7, {{"loss", 1.5}, {"rate", 0.001}});
    }
    for (const std::string& frame : frames(terminal.read())) {
      CHECK(is_valid_utf8(frame));
      CHECK(display_width(frame) <= std::max(columns - 1, 1));
    }
  }
}

TEST_CASE("The bar follows the share that is done") {
  const Environment environment("en_GB.UTF-8");
  const auto drawn = [](std::int64_t done) {
    const Ends terminal = Ends::terminal(200);
    { Progress(8 * 40, "x", {.fd = terminal.in}).update(done); }
    return frames(terminal.read()).back();
  };
  const auto count = [](const std::string& text, std::string_view part) {
    int n = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++n;
    return n;
  };
  CHECK(count(drawn(0), "█") == 0);
  CHECK(count(drawn(84), "█") == 10);
  CHECK_THAT(drawn(84), Contains("█▌ "));
  CHECK(count(drawn(320), "█") == 40);
  CHECK(count(drawn(1000), "█") == 40);  // more than all is no more than all
  CHECK_THAT(drawn(1000), Contains("100%"));
  // Parts of blocks take one column, like whole ones.
  const auto before_percent = [](const std::string& text) {
    return display_width(text.substr(0, text.find('%')));
  };
  for (const std::int64_t done : {1, 7, 8, 84, 319, 320}) {
    CHECK(before_percent(drawn(done)) == before_percent(drawn(0)));
  }
}

TEST_CASE("A total of 0 is unknown") {
  const Ends pipe = Ends::pipe();
  { Progress(0, "read", {.fd = pipe.in}).update(12); }
  const std::string text = pipe.read();
  CHECK_THAT(text, Contains("read  12  ") && !Contains("%"));
}

TEST_CASE("A resumed run counts its own steps") {
  const Ends pipe = Ends::pipe();
  {
    Progress bar(1002, "train", {.fd = pipe.in, .start = 1000, .line_interval = 1ms});
    std::this_thread::sleep_for(50ms);
    bar.update(1001);
    std::this_thread::sleep_for(1ms);
  }
  // One step took at least 50 ms: at most 20 a second, where all 1001 would be thousands.
  const std::string text = pipe.read();
  const std::size_t rate = text.find("1001/1002  ");
  REQUIRE(rate != std::string::npos);
  char* end = nullptr;
  CHECK(std::strtod(text.c_str() + rate + 11, &end) <= 20.0);
  CHECK(std::string_view(end).starts_with(" steps/s"));  // not "k steps/s"
}

TEST_CASE("What a program says cannot drive the terminal") {
  const Ends pipe = Ends::pipe();
  {
    Progress bar(1, "a\x1b[2Jb\n", {.fd = pipe.in});
    bar.message("BLEU\x1b]0;x\x07");
    bar.update(1, {{"loss", std::numeric_limits<double>::quiet_NaN()}});
  }
  const std::string text = pipe.read();
  CHECK(text.find_first_of("\x1b\x07") == std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 2);
  CHECK_THAT(text, Contains("loss nan"));
}

TEST_CASE("A message stands above the bar") {
  const Environment environment("C");
  const Ends terminal = Ends::terminal(60);
  {
    Progress bar(10, "train", {.fd = terminal.in});
    bar.update(3);
    bar.message("epoch 1: BLEU 12");
  }
  const auto drawn = frames(terminal.read());
  REQUIRE(drawn.size() == 4);
  CHECK(drawn[1] == "epoch 1: BLEU 12");
  CHECK_THAT(drawn[2], Contains("3/10"));
}

TEST_CASE("A closed output is no error") {
  const Ends pipe = Ends::pipe();
  Progress bar(10, "train", {.fd = -1, .line_interval = 0ms});
  CHECK_NOTHROW(bar.update(1));
  CHECK_NOTHROW(bar.message("text"));
}

TEST_CASE("The first Ctrl-C is a request, the second ends the program") {
  const auto child = [](auto&& body) {
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      body();
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return status;
  };
  const int twice = child([] {
    ::signal(SIGINT, SIG_DFL);
    Interrupt interrupt;
    if (interrupt.requested()) ::_exit(2);
    ::raise(SIGINT);
    if (!interrupt.requested()) ::_exit(3);
    ::raise(SIGINT);
    ::_exit(4);
  });
  CHECK(WIFSIGNALED(twice));
  CHECK(WTERMSIG(twice) == SIGINT);

  const int again = child([] {
    for (int i = 0; i < 2; ++i) {  // each new Interrupt begins unasked, with a handler of its own
      Interrupt interrupt;
      if (interrupt.requested()) ::_exit(2);
      ::raise(SIGINT);
      if (!interrupt.requested()) ::_exit(3);
    }
    ::_exit(7);
  });
  CHECK(WIFEXITED(again));
  CHECK(WEXITSTATUS(again) == 7);

  const int ignored = child([] {
    ::signal(SIGINT, SIG_IGN);
    {
      Interrupt interrupt;
      ::raise(SIGINT);
      if (interrupt.requested()) ::_exit(2);
    }
    ::raise(SIGINT);
    ::_exit(7);
  });
  CHECK(WIFEXITED(ignored));
  CHECK(WEXITSTATUS(ignored) == 7);
}

TEST_CASE("SIGTERM and SIGHUP are requests as Ctrl-C is") {
  for (const auto& [signal, cause] : {std::pair{SIGINT, "Ctrl-C"}, std::pair{SIGTERM, "SIGTERM"},
                                      std::pair{SIGHUP, "SIGHUP, as from a lost terminal"}}) {
    const Interrupt interrupt;
    CHECK(interrupt.signal() == 0);
    ::raise(signal);
    CHECK(interrupt.requested());
    CHECK(interrupt.signal() == signal);
    CHECK(interrupt.cause() == cause);
  }
}

TEST_CASE("A message that cannot be written is lost, and nothing else") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  write_message(ends[1], "read");
  std::array<char, 8> text{};
  CHECK(::read(ends[0], text.data(), text.size()) == 4);
  ::close(ends[0]);
  write_message(ends[1], "nobody reads this");  // would end the test by SIGPIPE
  sigset_t pending;
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGPIPE) == 0);
  // A signal that the program holds back itself is not taken from it.
  sigset_t pipe, before;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  ::raise(SIGPIPE);
  write_message(ends[1], "nor this");
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGPIPE) == 1);
  int taken = 0;
  sigwait(&pipe, &taken);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(ends[1]);
  write_message(ends[1], "closed");
  const int full = ::open("/dev/full", O_WRONLY);
  write_message(full, "full");
  ::close(full);
}

TEST_CASE("There is one Interrupt at a time, and it puts the old action back") {
  struct sigaction before {
  }, after{};
  ::sigaction(SIGINT, nullptr, &before);
  {
    const Interrupt interrupt;
    CHECK_THROWS_AS(Interrupt(), std::logic_error);
  }
  ::sigaction(SIGINT, nullptr, &after);
  CHECK(before.sa_handler == after.sa_handler);
}
