// captions decode: captions the pictures of a list.
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <numeric>

#include "examples/captions/options.hpp"
#include "examples/captions/samples.hpp"
#include "framework/core/error.hpp"
#include "framework/run/executor.hpp"
#include "tasks/data/files.hpp"
#include "tasks/data/hash.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

/// Loads the models. Throws Error if their words differ.
std::vector<CaptionModel> load_all(const std::vector<std::string>& folders) {
  std::vector<CaptionModel> models;
  for (const std::string& folder : folders) {
    models.push_back(CaptionModel::load(folder));
    const CaptionModel &first = models.front(), &last = models.back();
    bool same = first.words.size() == last.words.size();
    for (std::int32_t id = 0; same && id < first.words.size(); ++id) {
      same = first.words.token(id) == last.words.token(id);
    }
    if (same) continue;
    throw Error(fmt::format("{} and {} have different words: they cannot write together",
                            folders.front(), folder));
  }
  return models;
}

PictureSize size_of(const CaptionModel& model) {
  return {model.encoder().height, model.encoder().width};
}

/// Gives each name another one's picture.
void shuffle_pictures(LoadedPictures& pictures, std::uint64_t seed) {
  std::vector<std::size_t> order(pictures.images.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  shuffle(order, seed);
  LoadedPictures moved = pictures;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::size_t from = order[(i + 1) % order.size()];
    moved.images[order[i]] = pictures.images[from];
    moved.sizes[order[i]] = pictures.sizes[from];
  }
  pictures = std::move(moved);
}

}  // namespace

int decode(const DecodeCaptionOptions& o) {
  Executor executor({.threads = o.threads});
  const Executor::Use use(executor);
  const std::vector<CaptionModel> models = load_all(o.models);
  const CaptionModel& first = models.front();
  const PictureSize size = size_of(first),
                    raw = o.raw_size.empty() ? size : picture_size(o.raw_size);
  const Pictures files(o.images, raw.height, raw.width);
  SkipReport skipped;
  std::vector<ListedImage> list =
      read_caption_list(o.list, {.captions = false, .skip_bad = o.skip_bad}, skipped);
  // By size: each model reads the pictures in its own size. The first size skips bad pictures.
  std::map<std::pair<std::int64_t, std::int64_t>, LoadedPictures> loaded;
  std::vector<CaptionReader> readers;
  for (const CaptionModel& model : models) {
    const PictureSize own = size_of(model);
    const auto [at, added] = loaded.try_emplace({own.height, own.width});
    if (added) {
      at->second = load_pictures(files, list, o.list, own, o.skip_bad, skipped);
      if (o.shuffle_images) shuffle_pictures(at->second, o.seed);
    }
    readers.push_back({model.net, at->second.images});
  }
  const LoadedPictures& pictures = loaded.at({size.height, size.width});
  if (skipped.count() > 0) fmt::print(stderr, "{}\n", skipped.message());

  const auto begin = std::chrono::steady_clock::now();
  const std::vector<CaptionIds> captions =
      search_captions(readers, o.batch, search_options(o.beam, o.length_penalty, o.max_length));
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  for (std::size_t i = 0; i < list.size(); ++i) {
    fmt::print("{}\t{}\n", list[i].name, first.decode(captions[i]));
  }
  fmt::print(stderr, "{} pictures in {:.1f} seconds, {:.1f} a second\n", list.size(),
             passed.count(), static_cast<double>(list.size()) / passed.count());
  if (o.attention.empty()) return 0;

  const auto looks = looked_at(first.net, pictures.images, captions, o.batch);
  std::string lines;
  for (std::size_t i = 0; i < list.size(); ++i) {
    lines += looks_line({.image = list[i].name,
                         .words = first.words.decode(captions[i]),
                         .grid_height = first.encoder().grid_height(),
                         .grid_width = first.encoder().grid_width(),
                         .size = pictures.sizes[i],
                         .weights = looks[i]}) +
             "\n";
  }
  write_file_atomically(o.attention, lines);
  return 0;
}

}  // namespace rapt::examples
