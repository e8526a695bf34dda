// What the headers of sound files announce. libsndfile reads a truncated file without an error.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>

namespace rapt::tasks {

/// What a sound file's header says about its data.
struct ContainerFacts {
  std::optional<std::uint64_t> announced;  // bytes of samples; none if the header does not know
  std::uint64_t held = 0;                  // bytes from the first sample to the end of the file
  std::optional<std::uint64_t> rate;       // samples per second, for WAV
  std::optional<std::uint64_t> zero_at;    // where a WAV has a size of 0 in place of the unknown
};

/// Reads the header of a WAV (RIFF, RIFX, RF64), Wave64, AIFF, 8SVX, AU, CAF or NIST SPHERE file of
/// `size` bytes. Returns nothing for other files, and for those without a chunk of samples.
///
/// A program that writes to a pipe cannot fill in the sizes later. It leaves 0, 0x7FFFF000,
/// 0x7FFFFFFF or 0xFFFFFFFF, or 0x7F000000 in AIFF. These count as unknown. In WAV, 0 does so only
/// where the file's size knows nothing of samples either.
std::optional<ContainerFacts> read_container(std::istream& file, std::uint64_t size);

}  // namespace rapt::tasks
