#include "tasks/images/images.hpp"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "tasks/data/file_kinds.hpp"
#include "tasks/images/orientation.hpp"
#include "tasks/text/text.hpp"

// jpeglib.h needs FILE and size_t declared before it.
#include <jpeglib.h>
// jerror.h must follow jpeglib.h; it has the message numbers.
#include <jerror.h>

namespace rapt::tasks {
namespace {

constexpr std::string_view jpeg_mark = "\xFF\xD8\xFF";
constexpr std::string_view png_mark = "\x89PNG\r\n\x1A\n";
constexpr std::int64_t most_tensor_bytes = std::int64_t{1} << 32;

void check_size(std::int64_t height, std::int64_t width, const std::string& name,
                const ImageLimits& limits) {
  if (height > 0 && width > 0 && height <= limits.pixels / width) return;
  throw TextError(name, 0,
                  fmt::format("a picture of {} x {} pixels: at most {} are read", width, height,
                              limits.pixels));
}

// ---- JPEG ---------------------------------------------------------------------------------------

/// A JPEG decoder that reports errors by longjmp, because libjpeg's own handler ends the process.
/// Functions that libjpeg may leave by longjmp must have no objects to destroy.
class Jpeg {
 public:
  explicit Jpeg(std::string_view bytes) : bytes_(bytes) {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) { of(info).stop(info); };
    errors_.emit_message = [](j_common_ptr info, int level) {
      if (level < 0 && !is_harmless(info->err->msg_code)) of(info).stop(info);
    };
    errors_.output_message = [](j_common_ptr) {};
    progress_.progress_monitor = [](j_common_ptr info) {
      // A small file can demand any number of passes over the whole picture.
      if (of(info).info_.input_scan_number > most_scans) of(info).stop(info, "too many scans");
    };
  }
  ~Jpeg() { jpeg_destroy_decompress(&info_); }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;

  /// Reads the header. Returns false on failure; message() then has the reason.
  bool start() {
    if (setjmp(jump_) != 0) return false;
    jpeg_create_decompress(&info_);
    jpeg_save_markers(&info_, exif_marker, 0xFFFF);
    info_.progress = &progress_;
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(bytes_.data()),
                 static_cast<unsigned long>(bytes_.size()));
    jpeg_read_header(&info_, TRUE);
    return true;
  }
  /// Reads the picture, height x width x 3 bytes.
  bool read(std::uint8_t* to) {
    if (setjmp(jump_) != 0) return false;
    info_.out_color_space = JCS_RGB;
    info_.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = to + std::size_t{3} * info_.output_width * info_.output_scanline;
      jpeg_read_scanlines(&info_, &row, 1);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  std::int64_t height() const { return info_.image_height; }
  std::int64_t width() const { return info_.image_width; }
  bool inks() const {
    return info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
  }
  /// The orientation in the file's Exif data.
  int orientation() const {
    constexpr std::string_view mark("Exif\0\0", 6);
    for (const jpeg_marker_struct* m = info_.marker_list; m != nullptr; m = m->next) {
      const std::string_view data(reinterpret_cast<const char*>(m->data), m->data_length);
      if (m->marker == exif_marker && data.starts_with(mark)) {
        return exif_orientation(data.substr(mark.size()));
      }
    }
    return 1;
  }
  const char* message() const { return message_; }

 private:
  static constexpr int most_scans = 500, exif_marker = JPEG_APP0 + 1;

  /// A warning means damage, except for these. They touch no pixel: bytes between segments, the
  /// parameters of a scan that some phones write, and versions of JFIF and Adobe's marker.
  static bool is_harmless(int code) {
    return code == JWRN_EXTRANEOUS_DATA || code == JWRN_NOT_SEQUENTIAL || code == JWRN_JFIF_MAJOR ||
           code == JWRN_ADOBE_XFORM;
  }

  static Jpeg& of(j_common_ptr info) { return *static_cast<Jpeg*>(info->client_data); }
  [[noreturn]] void stop(j_common_ptr info) {
    info->err->format_message(info, message_);
    std::longjmp(jump_, 1);
  }
  [[noreturn]] void stop(j_common_ptr, const char* why) {
    std::snprintf(message_, sizeof message_, "%s", why);
    std::longjmp(jump_, 1);
  }

  std::string_view bytes_;
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_{};
  char message_[JMSG_LENGTH_MAX] = "";
};

Image decode_jpeg(std::string_view bytes, const std::string& name, const ImageLimits& limits) {
  Jpeg jpeg(bytes);
  const auto fail = [&] {
    throw TextError(name, 0, fmt::format("damaged JPEG: {}", jpeg.message()));
  };
  if (!jpeg.start()) fail();
  if (jpeg.inks()) {
    throw TextError(name, 0, "a JPEG of four inks (CMYK): only grey and colour are read");
  }
  check_size(jpeg.height(), jpeg.width(), name, limits);
  Image image{jpeg.height(), jpeg.width(), {}};
  image.pixels.resize(static_cast<std::size_t>(3 * image.height * image.width));
  const int orientation = jpeg.orientation();
  if (!jpeg.read(image.pixels.data())) fail();
  return upright(std::move(image), orientation);
}

// ---- PNG ----------------------------------------------------------------------------------------

/// Owner of a png_image, libpng's simplified interface, which needs no longjmp by its callers.
struct Png {
  png_image info{};

  Png() { info.version = PNG_IMAGE_VERSION; }
  ~Png() { png_image_free(&info); }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;
};

/// Returns the orientation of the chunk eXIf, wherever it is.
int png_orientation(std::string_view bytes) {
  for (std::size_t at = png_mark.size(); bytes.size() - at >= 12;) {
    std::size_t size = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      size = size << 8 | static_cast<unsigned char>(bytes[at + k]);
    }
    if (size > bytes.size() - at - 12) break;
    if (bytes.substr(at + 4, 4) == "eXIf") return exif_orientation(bytes.substr(at + 8, size));
    at += 12 + size;
  }
  return 1;
}

Image decode_png(std::string_view bytes, const std::string& name, const ImageLimits& limits) {
  Png png;
  const auto fail = [&] {
    throw TextError(name, 0, fmt::format("damaged PNG: {}", png.info.message));
  };
  if (png_image_begin_read_from_memory(&png.info, bytes.data(), bytes.size()) == 0) fail();
  check_size(png.info.height, png.info.width, name, limits);
  // Without this flag, 16-bit files without a gamma chunk would be read as linear light.
  png.info.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  png.info.format = PNG_FORMAT_RGB;
  Image image{png.info.height, png.info.width, {}};
  image.pixels.resize(static_cast<std::size_t>(3 * image.height * image.width));
  const png_color white{255, 255, 255};
  if (png_image_finish_read(&png.info, &white, image.pixels.data(), 0, nullptr) == 0) fail();
  return upright(std::move(image), png_orientation(bytes));
}

}  // namespace

Image decode_image(std::string_view bytes, const std::string& name, const ImageLimits& limits) {
  if (bytes.empty()) throw TextError(name, 0, "empty: expected a JPEG or PNG");
  if (bytes.starts_with(jpeg_mark)) return decode_jpeg(bytes, name, limits);
  if (bytes.starts_with(png_mark)) return decode_png(bytes, name, limits);
  const std::string kind = kind_of_media(bytes);
  throw TextError(
      name, 0,
      kind.empty() ? "neither JPEG nor PNG" : fmt::format("{} (expected a JPEG or PNG)", kind));
}

Image read_image(const std::string& path, const ImageLimits& limits) {
  return decode_image(read_bytes(path, limits.file_bytes), path, limits);
}

Image ImageTensor::image(std::int64_t i) const {
  if (i < 0 || i >= count) {
    throw std::out_of_range(fmt::format("picture {} of {}", i, count));
  }
  const std::int64_t bytes = 3 * height * width;
  return {height, width, {pixels.begin() + i * bytes, pixels.begin() + (i + 1) * bytes}};
}

ImageTensor read_image_tensor(const std::string& path, std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1 || height > most_tensor_bytes / 3 / width) {
    throw std::invalid_argument(fmt::format("pictures of {} x {} pixels", width, height));
  }
  const std::string bytes = read_bytes(path, most_tensor_bytes);
  const std::int64_t one = 3 * height * width;
  if (bytes.empty() || std::ssize(bytes) % one != 0) {
    throw TextError(
        path, 0,
        fmt::format("{} bytes are no whole number of pictures of {} x {} x 3 ({} bytes)",
                    bytes.size(), height, width, one));
  }
  return {std::ssize(bytes) / one, height, width, {bytes.begin(), bytes.end()}};
}

std::string png_of(const Image& image) {
  Png png;
  png.info.height = static_cast<png_uint_32>(image.height);
  png.info.width = static_cast<png_uint_32>(image.width);
  png.info.format = PNG_FORMAT_RGB;
  const auto fail = [&] { throw std::runtime_error(fmt::format("PNG: {}", png.info.message)); };
  png_alloc_size_t size = 0;
  if (png_image_write_get_memory_size(png.info, size, 0, image.pixels.data(), 0, nullptr) == 0) {
    fail();
  }
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&png.info, bytes.data(), &size, 0, image.pixels.data(), 0,
                                nullptr) == 0) {
    fail();
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace rapt::tasks
