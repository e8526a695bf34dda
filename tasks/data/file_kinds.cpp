#include "tasks/data/file_kinds.hpp"

#include <algorithm>

namespace rapt::tasks {
namespace {

using std::string_view_literals::operator""sv;

struct Kind {
  std::size_t at;  // where the mark is
  std::string_view mark, text;
};

// Of several that fit, the first counts. No mark is likely at the beginning of a text.
constexpr Kind kinds[] = {
    {0, "version https://git-lfs"sv, "is a Git LFS pointer, not the file itself: run git lfs pull"},
    {0, "\x1F\x8B"sv, "is compressed with gzip: unpack it first"},
    {0, "\xFD\x37zXZ\0"sv, "is compressed with xz: unpack it first"},
    {4, "1AY&SY"sv, "is compressed with bzip2: unpack it first"},
    {0, "\x28\xB5\x2F\xFD"sv, "is compressed with zstd: unpack it first"},
    {0, "\x04\x22\x4D\x18"sv, "is compressed with lz4: unpack it first"},
    {0, "PK\3\4"sv, "is a zip archive: unpack it first"},
    {0, "7z\xBC\xAF\x27\x1C"sv, "is a 7-Zip archive: unpack it first"},
    {0, "Rar!\x1A\x07"sv, "is a RAR archive: unpack it first"},
    {257, "ustar"sv, "is a tar archive: unpack it first"},
    {0, "%PDF-"sv, "is a PDF document"},
    {0, "\xFF\xD8\xFF"sv, "is a JPEG picture"},
    {0, "\x89PNG\r\n\x1A\n"sv, "is a PNG picture"},
    {0, "GIF87a"sv, "is a GIF picture"},
    {0, "GIF89a"sv, "is a GIF picture"},
    {8, "WEBPVP8"sv, "is a WebP picture"},
    {4, "ftypavif"sv, "is an AVIF picture"},
    {4, "ftypheic"sv, "is a HEIC picture"},
    {4, "ftypheix"sv, "is a HEIC picture"},
    {4, "ftypmif1"sv, "is a HEIF picture"},
    {4, "ftypM4A"sv, "is an M4A recording (AAC)"},
    {4, "ftyp"sv, "is an MP4 or QuickTime file"},
    {0, "II*\0"sv, "is a TIFF picture"},
    {0, "MM\0*"sv, "is a TIFF picture"},
    {0, "\0\0\1\0"sv, "is a Windows icon"},
    {0, "\0\0\0\x0CJXL \r\n\x87\n"sv, "is a JPEG XL picture"},
    {0, "\xFF\x0A"sv, "is a JPEG XL picture"},
    {0, "\0\0\0\x0CjP  \r\n\x87\n"sv, "is a JPEG 2000 picture"},
    {8, "WAVEfmt "sv, "is a WAV recording"},
    {0, "fLaC\0"sv, "is a FLAC recording"},
    {0, "OggS\0"sv, "is an Ogg recording"},
    {0, "ID3\2\0"sv, "is an MP3 recording"},
    {0, "ID3\3\0"sv, "is an MP3 recording"},
    {0, "ID3\4\0"sv, "is an MP3 recording"},
    {0, "#!AMR\n"sv, "is an AMR recording"},
    {0, "\x30\x26\xB2\x75\x8E\x66\xCF\x11"sv, "is a Windows Media file (WMA or WMV)"},
    {0, "\x1A\x45\xDF\xA3"sv, "is a Matroska or WebM file"},
    {0, "SQLite format 3\0"sv, "is an SQLite database"},
    {0,
     "\x7F"
     "ELF"sv,
     "is a program"},
    {0, "\xFF\xFE\0\0"sv,
     "is UTF-32 text, expected UTF-8: convert it with iconv -f UTF-32 -t UTF-8"},
    {0, "\xFF\xFE"sv, "is UTF-16 text, expected UTF-8: convert it with iconv -f UTF-16 -t UTF-8"},
    {0, "\xFE\xFF"sv, "is UTF-16 text, expected UTF-8: convert it with iconv -f UTF-16 -t UTF-8"},
    {0, "+/v8"sv, "is UTF-7 text, expected UTF-8: convert it with iconv -f UTF-7 -t UTF-8"},
};

/// A BMP begins with two letters only. The four bytes behind its size are zero.
bool is_bmp(std::string_view bytes) {
  return bytes.size() >= 14 && bytes.starts_with("BM") && bytes.substr(6, 4) == "\0\0\0\0"sv;
}

bool is_page(std::string_view bytes) {
  std::string begin(bytes.substr(0, 64));
  std::transform(begin.begin(), begin.end(), begin.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  begin.erase(0, begin.find_first_not_of(" \t\r\n"));
  return begin.starts_with("<!doctype html") || begin.starts_with("<html");
}

}  // namespace

std::string kind_of_bytes(std::string_view bytes) {
  for (const Kind& kind : kinds) {
    if (bytes.size() >= kind.at && bytes.substr(kind.at).starts_with(kind.mark)) {
      return std::string(kind.text);
    }
  }
  return is_bmp(bytes) ? "is a BMP picture" : "";
}

std::string kind_of_media(std::string_view bytes) {
  std::string kind = kind_of_bytes(bytes);
  if (kind.empty() && is_page(bytes)) {
    kind = "is an HTML page, perhaps an error message instead of a download";
  }
  return kind;
}

}  // namespace rapt::tasks
