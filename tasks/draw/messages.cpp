#include "tasks/draw/messages.hpp"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>
#include <string>

namespace rapt::tasks {
namespace {

/// Holds SIGPIPE back from this thread. One that taken() speaks of is removed at the end.
class NoPipeSignal {
 public:
  NoPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoPipeSignal() {
    const timespec none{};
    while (raised_ && !was_pending_ && sigtimedwait(&pipe_, nullptr, &none) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;

  /// A write has failed because nobody reads, and so has raised the signal.
  void raised() { raised_ = true; }

 private:
  sigset_t pipe_{}, before_{};
  bool was_pending_ = false, raised_ = false;
};

}  // namespace

void write_message(int fd, std::string_view text) noexcept {
  NoPipeSignal signal;
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) signal.raised();
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

void print_message(std::string_view line) {
  // A single write, so that no other output comes between the parts of the line.
  write_message(STDERR_FILENO, std::string(line) + "\n");
}

}  // namespace rapt::tasks
