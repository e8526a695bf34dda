// Pictures from files: the kinds that are read, those that are refused, and a thousand damaged
// copies of each.
#include "tasks/images/images.hpp"

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <functional>

#include "tasks/data/hash.hpp"
#include "tasks/text/text.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

/// A picture whose colours vary slowly, so that JPEG keeps them nearly.
Image slope(std::int64_t height, std::int64_t width) {
  Image image{height, width, {}};
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      image.pixels.push_back(static_cast<std::uint8_t>(y * 255 / height));
      image.pixels.push_back(static_cast<std::uint8_t>(x * 255 / width));
      image.pixels.push_back(static_cast<std::uint8_t>((x + y) * 127 / (height + width) + 60));
    }
  }
  return image;
}

struct JpegKind {
  int components = 3;
  J_COLOR_SPACE space = JCS_RGB;
  bool progressive = false;
};

/// A JPEG file of pixels [height, width, components].
std::string jpeg_of(const std::vector<std::uint8_t>& pixels, std::int64_t height,
                    std::int64_t width, const JpegKind& kind = {}) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_height = static_cast<JDIMENSION>(height);
  info.image_width = static_cast<JDIMENSION>(width);
  info.input_components = kind.components;
  info.in_color_space = kind.space;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 95, TRUE);
  if (kind.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<std::uint8_t*>(
        pixels.data() + info.next_scanline * static_cast<std::size_t>(width * kind.components));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string out(reinterpret_cast<char*>(bytes), size);
  std::free(bytes);
  return out;
}

std::string jpeg_of(const Image& image, const JpegKind& kind = {}) {
  return jpeg_of(image.pixels, image.height, image.width, kind);
}

/// A PNG file of one of libpng's formats.
std::string png_of(const void* pixels, std::uint32_t height, std::uint32_t width,
                   std::uint32_t format) {
  png_image info{};
  info.version = PNG_IMAGE_VERSION;
  info.height = height;
  info.width = width;
  info.format = format;
  png_alloc_size_t size = 0;
  REQUIRE(png_image_write_get_memory_size(info, size, 0, pixels, 0, nullptr) != 0);
  std::string bytes(size, '\0');
  REQUIRE(png_image_write_to_memory(&info, bytes.data(), &size, 0, pixels, 0, nullptr) != 0);
  bytes.resize(size);
  return bytes;
}

std::string gzip(const std::string& bytes) {
  const TemporaryFolder work;
  const gzFile file = gzopen(work.file("x").c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return TemporaryFolder::read(work.file("x"));
}

std::string text_of(const Image& image) { return {image.pixels.begin(), image.pixels.end()}; }

int farthest(const Image& a, const Image& b) {
  REQUIRE(a.pixels.size() == b.pixels.size());
  int most = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    most = std::max(most, std::abs(a.pixels[i] - b.pixels[i]));
  }
  return most;
}

void refuse(const std::string& bytes, const std::string& why) {
  CHECK_THROWS_WITH(decode_image(bytes, "x.jpg"), Contains("x.jpg: ") && Contains(why));
}

/// The file with one of: bytes changed, cut, a stretch repeated, a stretch left out.
std::string damaged(std::string bytes, std::uint64_t n) {
  const auto place = [&](std::uint64_t k) {
    return static_cast<std::size_t>(below(bytes.size(), hash(n, k)));
  };
  switch (n % 4) {
    case 0:
      for (std::uint64_t k = 0; k <= n % 7; ++k)
        bytes[place(k)] = static_cast<char>(hash(n, 50 + k));
      break;
    case 1:
      bytes.resize(place(1));
      break;
    case 2:
      bytes.insert(place(1), bytes.substr(place(2), 1 + n % 40));
      break;
    default:
      bytes.erase(place(1), 1 + n % 40);
  }
  return bytes;
}

struct Outcome {
  int pictures = 0, errors = 0;
};

Outcome a_thousand(const std::string& file, const std::function<void(const std::string&)>& read) {
  Outcome outcome;
  for (std::uint64_t n = 0; n < 1000; ++n) {
    try {
      read(damaged(file, n));
      ++outcome.pictures;
    } catch (const TextError& error) {
      CHECK_THAT(error.what(), Contains("x: "));
      ++outcome.errors;
    }
  }
  return outcome;
}

}  // namespace

TEST_CASE("JPEG: colour, grey and progressive") {
  const Image image = slope(37, 50);
  const Image same = decode_image(jpeg_of(image), "x");
  CHECK(same.height == 37);
  CHECK(same.width == 50);
  CHECK(farthest(image, same) < 12);
  CHECK(farthest(image, decode_image(jpeg_of(image, {.progressive = true}), "x")) < 12);

  std::vector<std::uint8_t> grey;
  for (int i = 0; i < 12 * 9; ++i) grey.push_back(static_cast<std::uint8_t>(2 * i));
  const Image shades =
      decode_image(jpeg_of(grey, 12, 9, {.components = 1, .space = JCS_GRAYSCALE}), "x");
  REQUIRE(shades.pixels.size() == 3 * grey.size());
  for (std::size_t i = 0; i < grey.size(); ++i) {
    CHECK(std::abs(shades.pixels[3 * i] - grey[i]) < 8);
    CHECK(shades.pixels[3 * i] == shades.pixels[3 * i + 1]);
    CHECK(shades.pixels[3 * i] == shades.pixels[3 * i + 2]);
  }
}

TEST_CASE("PNG: colour, grey, transparent, 16 bits") {
  const Image image = slope(21, 34);
  CHECK(decode_image(rapt::tasks::png_of(image), "x").pixels == image.pixels);

  const std::uint8_t grey[] = {0, 80, 160, 255};
  CHECK(decode_image(png_of(grey, 2, 2, PNG_FORMAT_GRAY), "x").pixels ==
        std::vector<std::uint8_t>{0, 0, 0, 80, 80, 80, 160, 160, 160, 255, 255, 255});

  // Laid on white: nothing of it, all of it, and what lies between.
  const std::uint8_t clear[] = {10, 20, 30, 0, 10, 20, 30, 255, 0, 0, 0, 128};
  const Image laid = decode_image(png_of(clear, 1, 3, PNG_FORMAT_RGBA), "x");
  CHECK(std::vector<std::uint8_t>(laid.pixels.begin(), laid.pixels.begin() + 6) ==
        std::vector<std::uint8_t>{255, 255, 255, 10, 20, 30});
  CHECK(laid.pixels[6] > 100);
  CHECK(laid.pixels[6] < 220);

  // 16 bits as a plain encoder writes them, without a word about their meaning.
  std::string deep;
  {
    const TemporaryFolder work;
    std::FILE* file = std::fopen(work.file("x").c_str(), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_set_IHDR(png, info, 2, 1, 16, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    const png_byte row[] = {0, 0, 128, 128, 255, 255, 20, 20, 40, 40, 60, 60};
    png_write_row(png, row);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    std::fclose(file);
    deep = TemporaryFolder::read(work.file("x"));
  }
  CHECK(decode_image(deep, "x").pixels == std::vector<std::uint8_t>{0, 128, 255, 20, 40, 60});
}

TEST_CASE("what is no picture is an error that names the file") {
  refuse("", "empty");
  refuse("GIF89a and so on", "is a GIF picture (expected a JPEG or PNG)");
  refuse(std::string("RIFF\x10\0\0\0WEBPVP8 ", 16), "is a WebP picture");
  refuse("BM" + std::string(20, '\0'), "is a BMP picture");
  refuse("version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS pointer");
  refuse("  <!DOCTYPE HTML>", "is an HTML page");
  refuse("plain text", "neither JPEG nor PNG");
  refuse("\xFF\xD8\xFF", "damaged JPEG");
  refuse("\x89PNG\r\n\x1A\n", "damaged PNG");
  const std::string jpeg = jpeg_of(slope(60, 60)), png = rapt::tasks::png_of(slope(60, 60));
  refuse(jpeg.substr(0, jpeg.size() / 2), "damaged JPEG: Premature end");
  refuse(png.substr(0, png.size() / 2), "damaged PNG");
  const std::vector<std::uint8_t> inks(16 * 16 * 4, 100);
  refuse(jpeg_of(inks, 16, 16, {.components = 4, .space = JCS_CMYK}), "CMYK");
  CHECK_THROWS_WITH(read_image("/nowhere/x.jpg"), Contains("/nowhere/x.jpg: cannot open"));
  CHECK_THROWS_WITH(read_image("/"), Contains("/: cannot"));
}

TEST_CASE("a picture over a limit is refused before it is decoded") {
  const std::string jpeg = jpeg_of(slope(20, 30)), png = rapt::tasks::png_of(slope(20, 30));
  const ImageLimits few{.pixels = 599};
  for (const std::string& file : {jpeg, png}) {
    CHECK_NOTHROW(decode_image(file, "x", {.pixels = 600}));
    CHECK_THROWS_WITH(decode_image(file, "x", few), Contains("30 x 20") && Contains("599"));
  }
  // Sizes of the header alone: 65500 x 65500, and 2^31 - 1 each way, of which no byte is read.
  std::string huge = jpeg;
  const std::size_t frame = huge.find("\xFF\xC0");
  REQUIRE(frame != std::string::npos);
  huge.replace(frame + 5, 4, "\xFF\xDC\xFF\xDC");
  refuse(huge, "65500 x 65500");
  std::string wide = png;
  wide.replace(16, 8, std::string_view("\x7F\xFF\xFF\xFF\x7F\xFF\xFF\xFF", 8));
  refuse(wide, "");
  const TemporaryFolder work;
  CHECK_THROWS_WITH(read_image(work.write("x.png", png), {.file_bytes = 100}),
                    Contains("x.png: ") && Contains("100"));
  CHECK(read_image(work.file("x.png"), {.file_bytes = std::ssize(png)}).width == 30);
}

TEST_CASE("raw tensors hold pictures one after the other") {
  const TemporaryFolder work;
  const Image a = slope(5, 4), b{5, 4, std::vector<std::uint8_t>(60, 9)};
  for (const std::string& file : {work.write("x.u8", text_of(a) + text_of(b)),
                                  work.write("x.u8.gz", gzip(text_of(a) + text_of(b)))}) {
    const ImageTensor tensor = read_image_tensor(file, 5, 4);
    CHECK(tensor.count == 2);
    CHECK(tensor.image(0).pixels == a.pixels);
    CHECK(tensor.image(1).pixels == b.pixels);
    CHECK(tensor.image(1).height == 5);
    CHECK_THROWS_AS(tensor.image(2), std::out_of_range);
    CHECK_THROWS_AS(tensor.image(-1), std::out_of_range);
    CHECK_THROWS_WITH(read_image_tensor(file, 7, 4), Contains(file) && Contains("120 bytes"));
    CHECK_THROWS_AS(read_image_tensor(file, 0, 4), std::invalid_argument);
  }
  CHECK_THROWS_WITH(read_image_tensor(work.write("e.u8", ""), 5, 4), Contains("e.u8: 0 bytes"));
  const std::string cut = gzip(text_of(a));
  CHECK_THROWS_WITH(read_image_tensor(work.write("c.u8.gz", cut.substr(0, cut.size() - 9)), 5, 4),
                    Contains("truncated"));
}

TEST_CASE("a thousand damaged JPEG, PNG and raw tensors: an error or a picture") {
  const Image image = slope(40, 48);
  const auto decode = [](const std::string& bytes) {
    const Image read = decode_image(bytes, "x");
    CHECK(std::ssize(read.pixels) == 3 * read.height * read.width);
  };
  const Outcome jpeg = a_thousand(jpeg_of(image), decode);
  CHECK(jpeg.errors > 500);
  CHECK(jpeg.pictures > 10);  // where the damage did not show
  CHECK(a_thousand(jpeg_of(image, {.progressive = true}), decode).errors > 500);
  CHECK(a_thousand(rapt::tasks::png_of(image), decode).errors > 900);

  const TemporaryFolder work;
  const std::string path = work.file("x");
  const auto read = [&](const std::string& bytes) {
    const ImageTensor tensor = read_image_tensor(work.write("x", bytes), 40, 48);
    CHECK(std::ssize(tensor.pixels) == tensor.count * 3 * 40 * 48);
  };
  CHECK(a_thousand(gzip(text_of(image) + text_of(image)), read).errors > 900);
}

TEST_CASE("warnings of libjpeg that touch no pixel are none") {
  const std::string file = jpeg_of(slope(24, 32));
  const Image plain = decode_image(file, "x");
  const auto same = [&](const std::string& bytes) {
    REQUIRE(bytes != file);
    CHECK(decode_image(bytes, "x").pixels == plain.pixels);
  };
  std::string scan = file;  // the last three bytes of SOS, as some phones write them
  const std::size_t sos = scan.find("\xFF\xDA");
  scan.replace(sos + 11, 3, std::string(3, '\0'));
  same(scan);
  for (const char* version : {"\2\1", "\3\2"}) {
    std::string jfif = file;
    jfif.replace(jfif.find("JFIF") + 5, 2, version);
    same(jfif);
  }
  std::string extra = file;
  same(extra.insert(20, std::string(5, '\x11')));
}

namespace {

std::string exif(int orientation, bool little) {
  const auto two = [&](int value) {
    const char high = static_cast<char>(value >> 8), low = static_cast<char>(value);
    return little ? std::string{low, high} : std::string{high, low};
  };
  const auto four = [&](int value) { return little ? two(value) + two(0) : two(0) + two(value); };
  // One entry before it, of another tag.
  return (little ? "II" : "MM") + two(42) + four(8) + two(2) + two(0x0100) + two(4) + four(1) +
         four(7) + two(0x0112) + two(3) + four(1) + two(orientation) + two(0) + four(0);
}

std::string big_endian(std::size_t value, int bytes) {
  std::string text;
  while (bytes-- > 0) text += static_cast<char>(value >> (8 * bytes));
  return text;
}

/// The PNG with a chunk eXIf before its end.
std::string with_exif(std::string png, const std::string& data) {
  const std::string body = "eXIf" + data;
  const auto sum =
      crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<unsigned>(body.size()));
  return png.insert(png.size() - 12, big_endian(data.size(), 4) + body + big_endian(sum, 4));
}

std::string jpeg_with_exif(std::string jpeg, const std::string& data) {
  const std::string body = std::string("Exif\0\0", 6) + data;
  return jpeg.insert(2, "\xFF\xE1" + big_endian(body.size() + 2, 2) + body);
}

/// Lists the red values, rows from the top.
std::string reds(const Image& image) {
  std::string text;
  for (std::int64_t y = 0; y < image.height; ++y) {
    if (y > 0) text += '/';
    for (std::int64_t x = 0; x < image.width; ++x) text += static_cast<char>(*image.at(y, x));
  }
  return text;
}

}  // namespace

TEST_CASE("pictures are turned upright by their Exif orientation") {
  Image image{2, 3, {}};
  for (const char c : std::string("abcdef")) {
    for (int k = 0; k < 3; ++k) image.pixels.push_back(static_cast<std::uint8_t>(c));
  }
  const std::string png = rapt::tasks::png_of(image);
  // As the Exif standard (2.3, tag 274) says where row 0 and column 0 are to be seen.
  const std::pair<int, const char*> wanted[] = {
      {1, "abc/def"},  {2, "cba/fed"},  {3, "fed/cba"},  {4, "def/abc"}, {5, "ad/be/cf"},
      {6, "da/eb/fc"}, {7, "fc/eb/da"}, {8, "cf/be/ad"}, {0, "abc/def"}, {9, "abc/def"}};
  for (const auto& [orientation, text] : wanted) {
    INFO(orientation);
    CHECK(reds(decode_image(with_exif(png, exif(orientation, true)), "x")) == text);
    CHECK(reds(decode_image(with_exif(png, exif(orientation, false)), "x")) == text);
  }
  for (std::size_t cut = 0; cut < 32; ++cut) {
    CHECK(decode_image(with_exif(png, exif(6, true).substr(0, cut)), "x").width == 3);
  }
  const std::string jpeg = jpeg_of(slope(16, 40));
  const Image lying = decode_image(jpeg, "x");
  const Image turned = decode_image(jpeg_with_exif(jpeg, exif(6, false)), "x");
  REQUIRE(turned.height == 40);
  REQUIRE(turned.width == 16);
  for (std::int64_t y = 0; y < 40; ++y) {
    for (std::int64_t x = 0; x < 16; ++x) {
      REQUIRE(*turned.at(y, x) == *lying.at(15 - x, y));
    }
  }
}
