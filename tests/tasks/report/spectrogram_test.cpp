// The report's view of spectrograms: its data. spectrogram_test.py opens it in a browser.
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tasks/report/spectrogram_view.hpp"
#include "tests/support/catch.hpp"

using namespace rapt::tasks;

namespace {

/// Eight frames of three bands, silent but for one place; two tokens over four columns.
std::vector<SpectrogramSample> samples() {
  SpectrogramSample first{.reference = "one <two>",
                          .recognised = "one",
                          .seconds = 0.2,
                          .bands = 3,
                          .values = std::vector<float>(24, -1.5f),
                          .tokens = {"one", "</s>"},
                          .weights = {0.1f, 0.9f, 0, 0, 0, 0, 0.25f, 0.75f},
                          .marks = {{"one", 0.05}}};
  first.values[6] = 2.5f;
  SpectrogramSample second{.reference = "",
                           .recognised = "",
                           .seconds = 8.5,
                           .bands = 1,
                           .values = {1, 0},
                           .tokens = {"</s>"},
                           .weights = {1},
                           .marks = {}};
  return {first, second};
}

}  // namespace

TEST_CASE("a spectrogram's data are steps between its smallest and its largest value") {
  const auto data = nlohmann::json::parse(spectrogram_view("", samples()).data);
  CHECK(data["steps"] == 99);
  REQUIRE(data["samples"].size() == 2);
  const auto& first = data["samples"][0];
  CHECK(first["reference"] == "one <two>");
  CHECK(first["values"][6] == 99);
  CHECK(first["values"][7] == 0);
  CHECK(first["weights"] == std::vector<int>{10, 89, 0, 0, 0, 0, 25, 74});
  CHECK(first["marks"][0]["token"] == "one");
  CHECK(spectrogram_view("a title", samples()).kind == "spectrogram");
}

TEST_CASE("sizes that do not fit, and values that are none, are refused") {
  const auto refuse = [](auto&& change) {
    auto all = samples();
    change(all[0]);
    CHECK_THROWS_AS(spectrogram_view("", all), std::invalid_argument);
  };
  refuse([](SpectrogramSample& s) { s.bands = 5; });
  refuse([](SpectrogramSample& s) { s.bands = 0; });
  refuse([](SpectrogramSample& s) { s.values.clear(); });
  refuse([](SpectrogramSample& s) { s.weights.pop_back(); });
  refuse([](SpectrogramSample& s) { s.tokens.clear(); });
  refuse([](SpectrogramSample& s) { s.values[3] = std::numeric_limits<float>::quiet_NaN(); });
  refuse([](SpectrogramSample& s) { s.weights[3] = std::numeric_limits<float>::infinity(); });
}

TEST_CASE("words cannot become markup") {
  auto all = samples();
  all[0].reference = all[0].tokens[0] = all[0].marks[0].token = "</script><!--";
  const std::vector<ReportView> views{spectrogram_view("", all)};
  const std::string text = report_page("speech", "", views);
  CHECK(text.find("</script><!--") == std::string::npos);
}

// Run by spectrogram_test.py, in the folder where the page is wanted.
TEST_CASE("the page for the browser", "[.page]") {
  const std::vector<ReportView> views{spectrogram_view("Where each word was heard", samples())};
  write_report("report", report_page("speech", "", views));
}
