// Messages to the person at the terminal.
#pragma once

#include <string_view>

namespace rapt::tasks {

/// Writes text to a file descriptor for people to read. A closed descriptor, a full disk and a
/// reader that is gone are no errors: the rest of the text is lost. Raises no SIGPIPE.
void write_message(int fd, std::string_view text) noexcept;

/// Prints a line to stderr, as write_message() does.
void print_message(std::string_view line);

}  // namespace rapt::tasks
