// The page about a training run: that no text of a user's becomes markup, and that it holds what it
// is given. report_test.py opens it in a browser.
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tasks/captions/pictures_view.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace rapt::tasks;
using Catch::Matchers::Contains;

namespace {

using Strings = std::vector<std::string>;

const std::string nasty = "</script><script>document.title='broken'</script><!-- \"'&{{script}} \\";

/// Two layers of different sizes; head h of the first gives row r the weight (h + 1) / 10 at r.
std::vector<AttentionSample> samples() {
  AttentionMap first{"encoder 1", {"ein", nasty, "."}, {"ein", nasty, "."}, {}};
  for (int h = 0; h < 3; ++h) {
    for (int i = 0; i < 9; ++i) {
      first.weights.push_back(i % 4 == 0 ? 0.1f * static_cast<float>(h + 1) : 0.05f);
    }
  }
  AttentionMap second{"cross 1", {"a", "."}, {"x", "y", "z"}, std::vector<float>(6, 0.25f)};
  second.weights[4] = std::numeric_limits<float>::quiet_NaN();
  return {{nasty, "a reference", "a " + nasty, {first, second}},
          {"zweiter Satz", "", "second", {second}}};
}

/// A picture of 8 x 4 pixels whose halves are red and blue; the first word looks left, the second
/// right.
std::vector<PictureSample> pictures() {
  Image image{4, 8, {}};
  for (int i = 0; i < 32; ++i) {
    const bool left = i % 8 < 4;
    image.pixels.insert(image.pixels.end(), {static_cast<std::uint8_t>(left ? 240 : 0), 0,
                                             static_cast<std::uint8_t>(left ? 0 : 240)});
  }
  return {{"1.png", image, {"red and blue", nasty}, {"red", nasty}, 1, 2, {0.9f, 0.1f, 0.2f, 0.8f}},
          {"2.png", image, {}, {"blue"}, 2, 1, {0.25f, 0.75f}}};
}

std::string page() {
  const std::vector<Fact> facts{{"best BLEU", "38.2"}, {"<b>", nasty}};
  const std::vector<CurvePanel> panels{
      {"Loss", {{"training", {50, 100, 150}, {3, NAN, 1}}, {"dev", {100}, {2.5}}}},
      {"Empty", {{"", {}, {}}}},
      {"Flat", {{nasty, {50, 150}, {7, 7}}}}};
  const std::vector<Note> notes{{100, nasty}};
  const auto all = samples();
  const auto shown = pictures();
  const std::vector<ReportView> views{
      facts_view(facts), curves_view("Training", "step", panels), attention_view("Attention", all),
      pictures_view("Pictures", shown), notes_view("Decisions", notes)};
  return report_page("run " + nasty, nasty, views);
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("texts cannot become markup") {
  const std::string text = page();
  CHECK(count(text, "</script>") == 6);  // of five views and the page's own script
  CHECK(count(text, "<script") == 6);
  CHECK(count(text, "<!--") == 0);
  CHECK(count(text, "{{script}}") > 5);  // what comes in is not filled in again
  CHECK(count(text, "</title>") == 1);
  CHECK_THAT(text, Contains("run &lt;/script&gt;"));
  // Nothing is fetched.
  CHECK(count(text, "http://") == count(text, "http://www.w3.org/2000/svg"));
  CHECK(count(text, "https://") == 0);
  CHECK_THAT(text, Contains("default-src 'none'"));
}

TEST_CASE("a view's data are its figures") {
  const auto all = samples();
  const auto data = nlohmann::json::parse(attention_view("", all).data);
  CHECK(data["unit"] == 1e-4);
  REQUIRE(data["samples"].size() == 2);
  CHECK(data["samples"][0]["source"] == nasty);
  const auto& map = data["samples"][0]["maps"][0];
  CHECK(map["rows"][1] == nasty);
  CHECK(map["heads"].size() == 3);
  CHECK(map["heads"][2] == std::vector<int>{3000, 500, 500, 500, 3000, 500, 500, 500, 3000});
  CHECK(data["samples"][0]["maps"][1]["heads"][0][4].is_null());

  const auto shown = nlohmann::json::parse(pictures_view("", pictures()).data);
  CHECK(shown["samples"][0]["looks"][1] == std::vector<int>{2000, 8000});
  CHECK(shown["samples"][1]["grid"] == std::vector<int>{2, 1});
  // The signature of a PNG file and the length of its first part, in base 64.
  CHECK_THAT(shown["samples"][0]["picture"].get<std::string>(),
             Catch::Matchers::StartsWith("data:image/png;base64,iVBORw0KGgoAAAANSUhEUg"));

  const std::vector<CurvePanel> panels{{"p", {{"s", {1, 2}, {0.1, INFINITY}}}}};
  const auto curves = nlohmann::json::parse(curves_view("", "step", panels).data);
  CHECK(curves["panels"][0]["series"][0]["y"][0] == 0.1);
  CHECK(curves["panels"][0]["series"][0]["y"][1].is_null());

  const std::vector<Note> notes{{1, "bytes \xff\xc3"}};
  CHECK(nlohmann::json::parse(notes_view("", notes).data)[0]["text"] ==
        "bytes \xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("maps and curves whose sizes do not fit are refused") {
  const auto refuse = [](Strings rows, Strings columns, size_t weights) {
    const std::vector<AttentionSample> one{
        {"",
         "",
         "",
         {{"layer", std::move(rows), std::move(columns), std::vector<float>(weights)}}}};
    CHECK_THROWS_WITH(attention_view("", one), Contains("layer: ") && Contains("weights"));
  };
  refuse({"a"}, {"b", "c"}, 3);
  refuse({"a"}, {"b", "c"}, 0);
  refuse({}, {"b"}, 4);
  const std::vector<CurvePanel> panels{{"p", {{"s", {1, 2}, {1}}}}};
  CHECK_THROWS_AS(curves_view("", "", panels), std::invalid_argument);
  auto shown = pictures();
  shown[1].weights = {0.25f, NAN};
  CHECK_THROWS_WITH(pictures_view("", shown), Contains("2.png") && Contains("finite"));
  shown[1].weights = {0.25f};
  CHECK_THROWS_WITH(pictures_view("", shown), Contains("1 weights for 1 words"));
  shown[1].grid_width = 0;
  CHECK_THROWS_AS(pictures_view("", shown), std::invalid_argument);
}

TEST_CASE("a report is a file of its own in a new folder") {
  const TemporaryFolder work;
  write_report(work.file("a/report"), page());
  CHECK(TemporaryFolder::read(work.file("a/report/index.html")) == page());
  work.write("file", "");
  CHECK_THROWS(write_report(work.file("file"), page()));
}

// Run by report_test.py, in the folder where the page is wanted.
TEST_CASE("the page for the browser", "[.page]") { write_report("report", page()); }
