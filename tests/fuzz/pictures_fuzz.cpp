// Decodes JPEG and PNG pictures.
#include <cstdio>
#include <cstdlib>
// jpeglib.h needs FILE and size_t declared before it.
#include <jpeglib.h>

#include "tasks/images/images.hpp"
#include "tasks/text/text_error.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace rapt;
using namespace rapt::tasks;

namespace rapt::fuzz {
namespace {

Image picture(std::int64_t height, std::int64_t width) {
  Image image{height, width, {}};
  for (std::int64_t i = 0; i < 3 * height * width; ++i) {
    image.pixels.push_back(static_cast<std::uint8_t>(i * i / 50 + 7 * i));
  }
  return image;
}

std::string jpeg_of(const Image& image, bool grey, bool progressive, unsigned restarts) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.input_components = grey ? 1 : 3;
  info.in_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  info.restart_interval = restarts;
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<std::uint8_t*>(image.at(info.next_scanline, 0));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string out(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return out;
}

}  // namespace

std::vector<std::string> seeds() {
  const Image image = picture(17, 24);
  const std::string plain = jpeg_of(image, false, false, 0);
  std::string turned = plain;  // with an Exif orientation
  turned.insert(2, std::string("\xFF\xE1\0\x22"
                               "Exif\0\0MM\0\x2A\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0",
                               36));
  return {plain,
          turned,
          jpeg_of(image, true, false, 2),
          jpeg_of(image, false, true, 0),
          png_of(image),
          png_of(picture(1, 1)),
          "GIF89a",
          std::string("RIFF\0\0\0\0WEBPVP8 ", 16)};
}

}  // namespace rapt::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Image image = decode_image(fuzz::text_of(data, size), "x", {.pixels = 1 << 18});
    fuzz::require(image.height * image.width <= 1 << 18, "over the limit");
    fuzz::require(std::ssize(image.pixels) == 3 * image.height * image.width, "not all pixels");
  } catch (const TextError&) {
  }
  return 0;
}
