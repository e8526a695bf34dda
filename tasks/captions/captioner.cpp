#include "tasks/captions/captioner.hpp"

#include <fmt/format.h>

#include "framework/core/error.hpp"
#include "tasks/data/executors.hpp"
#include "tasks/images/image_changes.hpp"

namespace rapt::inline v0 {

using namespace tasks;

struct Captioner::State {
  std::vector<CaptionModel> models;
  Executors executors;

  explicit State(int threads) : executors(threads) {}
};

Captioner::Captioner(const std::string& folder, int threads)
    : Captioner(std::vector<std::string>{folder}, threads) {}

Captioner::Captioner(const std::vector<std::string>& folders, int threads)
    : state_(std::make_shared<State>(threads)) {
  if (folders.empty()) throw Error("Captioner: no folder of a model is given");
  for (const std::string& folder : folders) {
    CaptionModel& model = state_->models.emplace_back(CaptionModel::load(folder));
    const CaptionModel& first = state_->models.front();
    bool same = first.words.size() == model.words.size();
    for (std::int32_t id = 0; same && id < first.words.size(); ++id) {
      same = first.words.token(id) == model.words.token(id);
    }
    if (!same) {
      throw Error(fmt::format("{} and {} have different words: they cannot write together",
                              folders.front(), folder));
    }
    parameters_of(model.net);  // names the layers
  }
}

std::string Captioner::caption(const std::string& file) const { return caption(read_image(file)); }

std::string Captioner::caption(const Image& picture) const {
  return caption({&picture, 1}).front().front().text;
}

std::vector<std::vector<Caption>> Captioner::caption(std::span<const Image> pictures,
                                                     const CaptioningOptions& o) const {
  if (o.batch < 1) throw Error(fmt::format("Captioner: a batch of {} pictures", o.batch));
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const Image& p = pictures[i];
    if (p.height > 0 && p.width > 0 && std::ssize(p.pixels) == 3 * p.height * p.width) continue;
    throw Error(fmt::format("picture {}: {} bytes for {} x {} pixels of three colours", i + 1,
                            p.pixels.size(), p.width, p.height));
  }
  std::vector<std::vector<Image>> sized;  // per model
  for (const CaptionModel& model : state_->models) {
    std::vector<Image>& own = sized.emplace_back();
    for (const Image& picture : pictures) {
      own.push_back(resized(picture, model.encoder().height, model.encoder().width));
    }
  }
  std::vector<CaptionReader> readers;
  for (std::size_t m = 0; m < sized.size(); ++m) {
    readers.push_back({state_->models[m].net, sized[m]});
  }
  BeamOptions search = caption_search(o.beam, o.length_penalty, o.max_length);
  search.best = o.best;

  const CaptionModel& first = model();
  std::vector<std::vector<Caption>> all(pictures.size());
  const Executors::Lease lease(state_->executors);
  const auto found = search_pictures(readers, o.batch, search);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const Hypothesis& h : found[i]) {
      Caption& to = all[i].emplace_back();
      to.text = first.decode(h.tokens);
      to.log_probability = h.log_probability;
      to.score = h.score;
      to.words = first.words.decode(h.tokens);
      if (!o.attention) continue;
      to.grid_height = first.encoder().grid_height();
      to.grid_width = first.encoder().grid_width();
      to.weights = looked_at(first.net, {&sized[0][i], 1}, {&h.tokens, 1}, 1).front();
    }
    if (all[i].empty()) all[i].emplace_back();
  }
  return all;
}

const CaptionModel& Captioner::model() const { return state_->models.front(); }

}  // namespace rapt::v0
