#include "examples/dates/dates.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "tasks/text/utf8.hpp"
#include "tests/support/catch.hpp"

using namespace rapt::examples;
using namespace rapt::tasks;
using std::chrono::days;
using std::chrono::sys_days;

namespace {

sys_days date(int year, unsigned month, unsigned day) {
  return std::chrono::year{year} / std::chrono::month{month} / std::chrono::day{day};
}

// Everything a style makes of a date, by language.
std::set<std::string> written(sys_days day, std::string_view language) {
  std::set<std::string> out;
  for (int style = 0; style < date_styles(); ++style) {
    if (date_language(style) == language) {
      out.insert(write_date(day, style, LetterCase::as_written));
    }
  }
  return out;
}

bool holds(const std::set<std::string>& texts, const std::vector<std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const std::string& text) {
    UNSCOPED_INFO(text << (texts.contains(text) ? "" : " is missing"));
    return texts.contains(text);
  });
}

}  // namespace

TEST_CASE("Dates are written as people write them") {
  const sys_days may = date(1998, 5, 3);  // a Sunday
  CHECK(holds(written(may, "English"),
              {"May 3, 1998", "May 3rd, 1998", "the 3rd of May 1998", "Sunday, 3 May 1998",
               "Sunday, May 3rd, 1998", "Sun 3 May 1998", "5/3/1998", "5/3/98", "05/03/1998",
               "1998/05/03", "1998-5-3"}));
  CHECK(holds(written(may, "German"), {"3. Mai 1998", "den 3. Mai 1998", "Sonntag, den 3. Mai 1998",
                                       "3.5.1998", "3.5.98", "03.05.1998", "So., 3. Mai 1998"}));
  CHECK(holds(written(may, "French"), {"le 3 mai 1998", "dimanche 3 mai 1998", "3 mai 98"}));
  CHECK(holds(written(may, "Spanish"), {"3 de mayo de 1998", "el domingo 3 de mayo de 1998"}));
  CHECK(holds(written(may, "Italian"), {"il 3 maggio 1998", "domenica 3 maggio 1998"}));
  CHECK(
      holds(written(may, "Dutch"), {"op 3 mei 1998", "zondag 3 mei 1998", "3-5-1998", "03-05-98"}));
  CHECK(iso_date(may) == "1998-05-03");
}

TEST_CASE("What is special about single days") {
  const sys_days first = date(2009, 8, 1);
  CHECK(holds(written(first, "English"), {"August 1st, 2009"}));
  CHECK(holds(written(first, "French"), {"le 1er août 2009", "samedi 1er août 2009"}));
  CHECK(holds(written(first, "Spanish"), {"el 1.º de agosto de 2009", "sáb. 1 ago. 2009"}));
  CHECK(holds(written(first, "Italian"), {"il 1º agosto 2009"}));
  CHECK(holds(written(date(1976, 3, 8), "Italian"), {"l'8 marzo 1976"}));
  CHECK(holds(written(date(1976, 3, 11), "Italian"), {"l'11 marzo 1976"}));
  CHECK(holds(written(date(1976, 3, 18), "Italian"), {"il 18 marzo 1976"}));
  const std::map<unsigned, std::string> ordinals = {{2, "2nd"},   {11, "11th"}, {12, "12th"},
                                                    {13, "13th"}, {21, "21st"}, {22, "22nd"},
                                                    {23, "23rd"}, {30, "30th"}, {31, "31st"}};
  for (const auto& [day, text] : ordinals) {
    CHECK(holds(written(date(2000, 1, day), "English"), {"January " + text + ", 2000"}));
  }
  CHECK(write_date(date(2004, 2, 29), 0, LetterCase::upper) == "FEBRUARY 29, 2004");
  // Two digits: 30 .. 99 are of the last century, 00 .. 29 of this one.
  CHECK(holds(written(date(1976, 11, 9), "German"), {"9.11.76"}));
  CHECK(holds(written(date(2029, 12, 31), "German"), {"31.12.29"}));
  CHECK(holds(written(date(1930, 1, 1), "German"), {"1.1.30"}));
}

TEST_CASE("The day of the week is right") {
  // Sakamoto's method, which owes nothing to std::chrono.
  const auto weekday = [](int y, unsigned m, unsigned d) {
    constexpr int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
    y -= m < 3;
    return (y + y / 4 - y / 100 + y / 400 + shift[m - 1] + static_cast<int>(d)) % 7;
  };
  const std::vector<std::string> names = {"dimanche", "lundi",    "mardi", "mercredi",
                                          "jeudi",    "vendredi", "samedi"};
  int style = 0;
  while (!write_date(date(1998, 5, 3), style, LetterCase::as_written).starts_with("le dim"))
    ++style;
  for (sys_days day = first_date; day <= last_date; day += days(11)) {
    const std::chrono::year_month_day ymd(day);
    const int expected = weekday(static_cast<int>(ymd.year()), static_cast<unsigned>(ymd.month()),
                                 static_cast<unsigned>(ymd.day()));
    const std::string start = "le " + names[static_cast<std::size_t>(expected)] + " ";
    REQUIRE(write_date(day, style, LetterCase::as_written).starts_with(start));
  }
}

TEST_CASE("No text means two dates") {
  // The years at both ends, where two digits could be confused, and some between them.
  std::unordered_map<std::string, sys_days> meaning;
  for (const int year : {1930, 1931, 1976, 1999, 2000, 2001, 2012, 2028, 2029}) {
    for (sys_days day = date(year, 1, 1); day <= date(year, 12, 31); day += days(1)) {
      for (int style = 0; style < date_styles(); ++style) {
        const std::string text = write_date(day, style, LetterCase::lower);
        INFO(text);
        REQUIRE(is_valid_utf8(text));
        REQUIRE(meaning.emplace(text, day).first->second == day);
      }
    }
  }
}

TEST_CASE("Test days are never seen in training") {
  std::set<std::string> train, test, languages;
  int lower = 0, upper = 0;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const DatePair pair = make_date(7, i, DateSplit::train);
    train.insert(pair.iso);
    languages.emplace(pair.language);
    lower += pair.text == lower_case(pair.text) && pair.text != upper_case(pair.text);
    upper += pair.text == upper_case(pair.text) && pair.text != lower_case(pair.text);
    REQUIRE(pair.iso >= "1930-01-01");
    REQUIRE(pair.iso <= "2029-12-31");
  }
  for (std::uint64_t i = 0; i < 20000; ++i) test.insert(make_date(i % 3, i, DateSplit::test).iso);
  std::vector<std::string> both;
  std::set_intersection(train.begin(), train.end(), test.begin(), test.end(),
                        std::back_inserter(both));
  CHECK(both.empty());
  CHECK(languages.size() == 6);
  CHECK(lower > 3000);
  CHECK(upper > 2000);
  // 20,000 draws from about 32,900 train days leave out exp(-0.61) of them, and hardly any test
  // day.
  CHECK(train.size() > 14000);
  CHECK(test.size() > 3000);
  CHECK(test.size() < 4200);
}

TEST_CASE("A pair depends on seed, index and split alone") {
  const DatePair pair = make_date(7, 123, DateSplit::train);
  CHECK(make_date(7, 123, DateSplit::train).text == pair.text);
  CHECK(pair.text == "venerdì 13 agosto 2010");
  CHECK(pair.iso == "2010-08-13");
  int same = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    same += make_date(7, i, DateSplit::train).iso == make_date(8, i, DateSplit::train).iso;
  }
  CHECK(same < 5);
  CHECK_THROWS_AS(date_language(date_styles()), std::out_of_range);
  CHECK_THROWS_AS(write_date(first_date, -1, LetterCase::lower), std::out_of_range);
}
