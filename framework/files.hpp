// What files need to be safe from a crash.
#pragma once

#include <string>

namespace rapt {

/// Makes what was renamed, linked or removed in a file's folder last: without it, a crash of the
/// machine may undo it. Some file systems cannot sync folders; they have to do without.
void sync_folder_of(const std::string& path);

}  // namespace rapt
