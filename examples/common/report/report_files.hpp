// The files of examples/common/report, as part of the program.
#pragma once

#include <string_view>

namespace rapt::examples {

/// The text of a file, such as "page.css". Throws std::out_of_range for a name that is not there.
std::string_view report_file(std::string_view name);

}  // namespace rapt::examples
