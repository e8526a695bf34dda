// Names the kind of a file by its first bytes, for messages about a file of the wrong kind.
#pragma once

#include <string>
#include <string_view>

namespace rapt::tasks {

/// Returns text such as "is a GIF picture" or "is compressed with xz: unpack it first". `bytes` is
/// the beginning of a file; 300 bytes are enough. Returns an empty text for plain text in UTF-8,
/// HTML among it, and for kinds that it does not know.
std::string kind_of_bytes(std::string_view bytes);

/// As kind_of_bytes(), for a file that should be a picture or a recording: names HTML too.
std::string kind_of_media(std::string_view bytes);

}  // namespace rapt::tasks
