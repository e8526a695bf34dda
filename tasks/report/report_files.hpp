// The files of tasks/report/page, embedded in the program.
#pragma once

#include <string_view>

namespace rapt::tasks {

/// Returns the text of a file, such as "page.css". Throws std::out_of_range for an unknown name.
std::string_view report_file(std::string_view name);

}  // namespace rapt::tasks
