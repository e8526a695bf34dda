#include "examples/captions/batches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "examples/captions/samples.hpp"
#include "framework/core/error.hpp"
#include "tasks/data/batches.hpp"
#include "tasks/data/hash.hpp"
#include "tasks/draw/messages.hpp"

namespace rapt::examples {
using namespace tasks;

void read(CaptionSet& set, const std::string& path, const std::string& images,
          const CaptionOptions& o, SkipReport& skipped) {
  const PictureSize size = picture_size(o.size),
                    raw = o.raw_size.empty() ? size : picture_size(o.raw_size);
  set.list = read_caption_list(path, {.skip_bad = o.skip_bad, .box_size = o.box_size}, skipped);
  set.pictures = load_pictures(Pictures(images, raw.height, raw.width), set.list, path, size,
                               o.skip_bad, skipped);
}

void number(CaptionSet& set, const CaptionModel& model, std::int64_t max_words,
            const std::string& path, SkipReport& skipped) {
  for (const ListedImage& image : set.list) {
    std::vector<CaptionIds>& captions = set.captions.emplace_back();
    std::vector<const ListedCaption*>& listed = set.listed.emplace_back();
    for (const ListedCaption& caption : image.captions) {
      CaptionIds ids = model.encode(caption.text);
      if (ids.empty()) {
        skipped.add("nothing that is a word", path, caption.line);
      } else if (std::cmp_greater(ids.size(), max_words)) {
        skipped.add(fmt::format("more than {} words", max_words), path, caption.line);
      } else {
        captions.push_back(std::move(ids));
        listed.push_back(&caption);
      }
    }
  }
  if (skipped.count() > 0) print_message(skipped.message());
}

std::string digest_of(const CaptionSet& set) {
  std::uint64_t digest = 0;
  for (const Image& image : set.pictures.images) {
    for (std::size_t i = 0; i + 8 <= image.pixels.size(); i += 8) {
      std::uint64_t eight = 0;
      std::copy_n(image.pixels.data() + i, 8, reinterpret_cast<std::uint8_t*>(&eight));
      digest = hash(digest, eight);
    }
  }
  for (const auto& captions : set.captions) {
    digest = hash(digest, captions.size());
    for (const CaptionIds& ids : captions) {
      for (const std::int32_t id : ids) digest = hash(digest, static_cast<std::uint64_t>(id));
    }
  }
  return fmt::format("{:016x}", digest);
}

namespace {

/// Returns true if a list puts objects side by side: mirroring would make its captions wrong.
bool has_neighbours(const ListedImage& image) {
  for (const ListedCaption& caption : image.captions) {
    const std::vector<Box>& boxes = caption.objects;
    for (std::size_t i = 0; i < boxes.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const std::int64_t apart = std::abs(boxes[i].y - boxes[j].y);
        if (apart < std::max(boxes[i].height, boxes[j].height) / 2) return true;
      }
    }
  }
  return false;
}

}  // namespace

CaptionBatches::CaptionBatches(const CaptionOptions& o, const CaptionSet& set,
                               const CaptionModel& model)
    : options_(o), set_(set), model_(model) {
  const auto has_boxes = [](const ListedImage& image) {
    return !image.captions.empty() && !image.captions[0].objects.empty();
  };
  for (const std::string& word : o.tint_words) {
    const std::int32_t id = model.words.id(word);
    if (id == Vocabulary::unknown) {
      throw Error(fmt::format("--tint-words: no caption has the word '{}'", word));
    }
    colours_.push_back(id);
  }
  if (o.guide > 0 && std::none_of(set.list.begin(), set.list.end(), has_boxes)) {
    throw TextError(o.train, 0, "does not say where objects are, which --guide goes by");
  }
}

std::vector<std::size_t> CaptionBatches::chosen(std::size_t picture, std::uint64_t random) const {
  std::vector<std::size_t> captions(set_.captions[picture].size());
  std::iota(captions.begin(), captions.end(), std::size_t{0});
  const auto most = static_cast<std::size_t>(options_.captions);
  if (most > 0 && captions.size() > most) {
    shuffle(captions, random);
    captions.resize(most);
  }
  return captions;
}

CaptionIds CaptionBatches::words_of(std::size_t picture, std::size_t caption, bool flipped) const {
  CaptionIds ids = set_.captions[picture][caption];
  if (!flipped) return ids;
  const std::int32_t left = model_.words.id("left"), right = model_.words.id("right");
  for (std::int32_t& id : ids) {
    if (id == Vocabulary::unknown) continue;
    id = id == left ? right : id == right ? left : id;
  }
  return ids;
}

Tensor CaptionBatches::focus(const std::vector<std::int64_t>& rows,
                             const std::vector<Origin>& origins,
                             const std::vector<std::vector<std::size_t>>& chosen,
                             const Shape& target) const {
  const ImageEncoder& encoder = model_.encoder();
  const std::int64_t H = encoder.grid_height(), W = encoder.grid_width();
  const auto places = static_cast<std::size_t>(H * W);
  const auto T = static_cast<std::size_t>(target[1]),
             K = static_cast<std::size_t>(target[0]) / rows.size();
  Tensor all = full({target[0], target[1], encoder.grid_height() * encoder.grid_width()}, 1);
  const std::span<float> cells = all.data<float>();
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const auto picture = static_cast<std::size_t>(rows[b]);
    const PictureSize was = set_.pictures.sizes[picture];
    const double scale_y = static_cast<double>(was.height) / static_cast<double>(encoder.height),
                 scale_x = static_cast<double>(was.width) / static_cast<double>(encoder.width);
    for (std::size_t k = 0; k < chosen[b].size(); ++k) {
      const ListedCaption& listed = *set_.listed[picture][chosen[b][k]];
      const std::size_t words = set_.captions[picture][chosen[b][k]].size();
      if (listed.object_of_word.size() != words) continue;
      for (std::size_t t = 0; t < words; ++t) {
        if (listed.object_of_word[t] < 0) continue;
        const Box& box = listed.objects[static_cast<std::size_t>(listed.object_of_word[t])];
        const std::span<float> own = cells.subspan(((b * K + k) * T + t) * places, places);
        for (std::int64_t i = 0; i < H * W; ++i) {
          const auto [y, x] =
              origins[b](middle_of(i / W, H, encoder.height), middle_of(i % W, W, encoder.width));
          const bool inside = box.contains((y + 0.5) * scale_y - 0.5, (x + 0.5) * scale_x - 0.5);
          own[static_cast<std::size_t>(i)] = inside ? 1 : 0;
        }
        if (std::find(own.begin(), own.end(), 1.f) == own.end()) {
          std::fill(own.begin(), own.end(), 1.f);
        }
      }
    }
  }
  return all;
}

void CaptionBatches::hide_colours(CaptionRows& rows, const std::vector<bool>& tinted) const {
  const auto T = static_cast<std::size_t>(rows.in.shape()[1]),
             each = static_cast<std::size_t>(rows.in.shape()[0]) / tinted.size() * T;
  const std::span<std::int32_t> in = rows.in.data<std::int32_t>(),
                                out = rows.out.data<std::int32_t>();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool is_colour = std::find(colours_.begin(), colours_.end(), out[i]) != colours_.end();
    if (!tinted[i / each] || !is_colour) continue;
    out[i] = Vocabulary::pad;
    in[i + 1] = Vocabulary::unknown;  // index i + 1 exists: the end mark comes after a word
    --rows.tokens;
  }
}

Batch CaptionBatches::make_batch(const std::vector<std::int64_t>& rows,
                                 std::uint64_t random) const {
  std::vector<Image> images;
  std::vector<Origin> origins;
  std::vector<bool> flipped, tinted;
  std::vector<std::vector<std::size_t>> picked;
  std::vector<std::vector<CaptionIds>> captions;
  for (const std::int64_t row : rows) {
    const auto picture = static_cast<std::size_t>(row);
    const std::uint64_t own = hash(random, picture);
    Augmentation how = options_.augmentation;
    how.flip = how.flip && !has_neighbours(set_.list[picture]);
    Augmented varied = augmented(set_.pictures.images[picture], how, own);
    images.push_back(std::move(varied.image));
    origins.push_back(varied.origin);
    flipped.push_back(varied.flipped);
    tinted.push_back(varied.tinted);
    picked.push_back(chosen(picture, hash(own)));
    auto& words = captions.emplace_back();
    for (const std::size_t k : picked.back()) {
      words.push_back(words_of(picture, k, varied.flipped));
    }
  }
  CaptionRows target = caption_rows(captions);
  hide_colours(target, tinted);
  Batch batch{.tensors = {{"images", images_tensor(images)}}, .units = target.tokens};
  if (options_.words_loss > 0) {
    Tensor has = zeros({std::ssize(rows), model_.words.size()}), tells = full(has.shape(), 1);
    const std::span<float> flags = has.data<float>(), told = tells.data<float>();
    for (std::size_t b = 0; b < rows.size(); ++b) {
      for (std::size_t i = 0; tinted[b] && i < colours_.size(); ++i) {
        told[b * static_cast<std::size_t>(model_.words.size()) +
             static_cast<std::size_t>(colours_[i])] = 0;
      }
      // From all captions, not only those that the decoder learns.
      const auto picture = static_cast<std::size_t>(rows[b]);
      for (std::size_t k = 0; k < set_.captions[picture].size(); ++k) {
        for (const std::int32_t id : words_of(picture, k, flipped[b])) {
          flags[b * static_cast<std::size_t>(model_.words.size()) + static_cast<std::size_t>(id)] =
              1;
        }
      }
    }
    batch.tensors.emplace_back("words", has);
    batch.tensors.emplace_back("tells", tells);
  }
  if (options_.guide > 0) {
    batch.tensors.emplace_back("focus", focus(rows, origins, picked, target.in.shape()));
  }
  if (options_.word_dropout > 0) {
    std::uint64_t n = 0;
    const auto limit = static_cast<std::uint64_t>(options_.word_dropout * 0x1p32);
    for (std::int32_t& id : target.in.data<std::int32_t>()) {
      const bool drop = hash(random, ~n++) >> 32 < limit;
      if (drop && id != Vocabulary::pad && id != Vocabulary::begin) id = Vocabulary::unknown;
    }
  }
  batch.tensors.emplace_back("target_in", target.in);
  batch.tensors.emplace_back("target_out", target.out);
  return batch;
}

double CaptionBatches::padding(const std::vector<std::vector<std::int64_t>>& batches,
                               std::uint64_t random) const {
  std::size_t places = 0, words = 0;
  for (const std::vector<std::int64_t>& rows : batches) {
    std::size_t most = 0, longest = 0;
    for (const std::int64_t row : rows) {
      const auto picture = static_cast<std::size_t>(row);
      const std::vector<std::size_t> picked = chosen(picture, hash(hash(random, picture)));
      most = std::max(most, picked.size());
      for (const std::size_t k : picked) {
        const std::size_t length = set_.captions[picture][k].size() + 1;
        longest = std::max(longest, length);
        words += length;
      }
    }
    places += rows.size() * most * longest;
  }
  return 1 - static_cast<double>(words) / static_cast<double>(places);
}

Epoch CaptionBatches::epoch(std::int64_t number) const {
  const auto epoch = static_cast<std::uint64_t>(number);
  std::vector<PairLength> lengths;
  std::vector<std::int64_t> with_captions;
  for (std::size_t i = 0; i < set_.captions.size(); ++i) {
    std::size_t longest = 0;
    for (const CaptionIds& ids : set_.captions[i]) longest = std::max(longest, ids.size());
    if (longest == 0) continue;
    lengths.push_back({0, static_cast<std::int32_t>(longest + 1)});
    with_captions.push_back(static_cast<std::int64_t>(i));
  }
  Batches batches =
      make_batches(lengths, {.sentences = options_.batch}, options_.training.seed, epoch);
  for (std::vector<std::int64_t>& rows : batches.sentences) {
    for (std::int64_t& row : rows) row = with_captions[static_cast<std::size_t>(row)];
  }
  const std::uint64_t random = hash(options_.training.seed, epoch);
  return {.batches = static_cast<std::int64_t>(batches.sentences.size()),
          .padding = padding(batches.sentences, random),
          .make = [this, random, rows = std::move(batches.sentences)](std::int64_t i) {
            return make_batch(rows[static_cast<std::size_t>(i)], random);
          }};
}

}  // namespace rapt::examples
