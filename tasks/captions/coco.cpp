#include "tasks/captions/coco.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>

#include "tasks/text/unicode.hpp"

namespace rapt::tasks {
namespace {

using Json = nlohmann::json;

const Json& array_of(const Json& object, const char* name, const std::string& path) {
  const auto found = object.find(name);
  if (found != object.end() && found->is_array()) return *found;
  throw TextError(path, 0, fmt::format("JSON without the array \"{}\" of COCO's captions", name));
}

std::string text_of(const Json& object, const char* name) {
  if (!object.is_object()) return "";
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Returns an id as text, whether the file has it as a number or as text; empty: there is none.
std::string id_of(const Json& object, const char* name) {
  if (!object.is_object()) return "";
  const auto found = object.find(name);
  if (found == object.end() || found->is_structured() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

}  // namespace

std::vector<CocoImage> read_coco(const std::string& path, std::string_view json, bool captions,
                                 bool skip_bad, SkipReport& skipped) {
  const Json object = Json::parse(json, nullptr, false);
  if (!object.is_object()) throw TextError(path, 0, "begins like JSON, but is damaged");
  std::vector<CocoImage> list;
  std::map<std::string, std::size_t> places;
  for (const Json& image : array_of(object, "images", path)) {
    const std::string id = id_of(image, "id"), name = text_of(image, "file_name");
    if (id.empty() || name.empty()) {
      throw TextError(path, 0,
                      fmt::format("image {} has no \"id\" or no \"file_name\"", list.size() + 1));
    }
    if (!places.try_emplace(id, list.size()).second) {
      throw TextError(path, 0, fmt::format("two images have the id {}", id));
    }
    list.push_back({name, {}});
  }
  if (!captions) return list;
  std::int64_t number = 0;
  for (const Json& annotation : array_of(object, "annotations", path)) {
    ++number;
    const auto place = places.find(id_of(annotation, "image_id"));
    const std::string caption = text_of(annotation, "caption");
    const std::vector<std::string> words = split_white_space(caption);
    if (place == places.end() || words.empty()) {
      const char* what = words.empty() ? "no words" : "an \"image_id\" that no image has";
      if (!skip_bad) {
        throw TextError(path, 0, fmt::format("annotation {} has {}", number, what));
      }
      skipped.add("a fault of the list", path, number, what);
      continue;
    }
    // Line ends and tabs inside a caption are blanks.
    list[place->second].captions.push_back({fmt::format("{}", fmt::join(words, " ")), number});
  }
  std::erase_if(list, [](const CocoImage& image) { return image.captions.empty(); });
  return list;
}

}  // namespace rapt::tasks
