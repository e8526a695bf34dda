// captions decode: captions the pictures of a list.
#include <fmt/format.h>

#include <chrono>
#include <numeric>

#include "examples/captions/options.hpp"
#include "examples/captions/samples.hpp"
#include "tasks/captions/captioner.hpp"
#include "tasks/data/files.hpp"
#include "tasks/data/hash.hpp"
#include "tasks/draw/messages.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

/// Returns the name of the picture to read for each entry of the list: its own, or another one's.
std::vector<std::string> names_of(const std::vector<ListedImage>& list,
                                  const DecodeCaptionOptions& o) {
  std::vector<std::string> names;
  for (const ListedImage& entry : list) names.push_back(entry.name);
  if (!o.shuffle_images) return names;
  std::vector<std::size_t> order(list.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  shuffle(order, o.seed);
  for (std::size_t i = 0; i < order.size(); ++i) {
    names[order[i]] = list[order[(i + 1) % order.size()]].name;
  }
  return names;
}

}  // namespace

int decode(const DecodeCaptionOptions& o) {
  if (!o.attention.empty()) expect_writable(o.attention);
  const Captioner captioner(o.models, o.threads);
  const PictureSize size = size_of(captioner.model()),
                    raw = o.raw_size.empty() ? size : picture_size(o.raw_size);
  const Pictures files(o.images, raw.height, raw.width);
  SkipReport skipped;
  const std::vector<ListedImage> list =
      read_caption_list(o.list, {.captions = false, .skip_bad = o.skip_bad}, skipped);
  const std::vector<std::string> names = names_of(list, o);
  const CaptioningOptions options{.beam = o.beam,
                                  .length_penalty = o.length_penalty,
                                  .max_length = o.max_length,
                                  .batch = o.batch,
                                  .attention = !o.attention.empty()};

  // Batch by batch: the pictures of a long list have no room in memory.
  const auto begin = std::chrono::steady_clock::now();
  std::string lines;
  std::size_t written = 0;
  for (std::size_t next = 0; next < list.size();) {
    std::vector<Image> images;
    std::vector<std::string> of;
    for (; next < list.size() && std::ssize(images) < o.batch; ++next) {
      try {
        images.push_back(files.get(names[next]));
        of.push_back(list[next].name);
      } catch (const TextError& error) {
        if (!o.skip_bad) throw TextError(o.list, list[next].line, error.what());
        skipped.add("a picture that cannot be read", o.list, list[next].line);
      }
    }
    const auto captions = captioner.caption(images, options);
    for (std::size_t i = 0; i < images.size(); ++i) {
      const Caption& caption = captions[i].front();
      fmt::print("{}\t{}\n", of[i], caption.text);
      if (!options.attention) continue;
      lines += looks_line({.image = of[i],
                           .words = caption.words,
                           .grid_height = caption.grid_height,
                           .grid_width = caption.grid_width,
                           .size = {images[i].height, images[i].width},
                           .weights = caption.weights}) +
               "\n";
    }
    written += images.size();
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  if (skipped.count() > 0) print_message(skipped.message());
  if (written == 0) throw TextError(o.list, 0, "none of its pictures can be read");
  print_message(fmt::format("{} pictures in {:.1f} seconds, {:.1f} a second", written,
                            passed.count(), static_cast<double>(written) / passed.count()));
  if (!o.attention.empty()) write_file_atomically(o.attention, lines);
  return 0;
}

}  // namespace rapt::examples
