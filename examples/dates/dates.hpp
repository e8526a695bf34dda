// The data of the date translation demo: dates as people write them, with their ISO 8601 form.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace rapt::examples {

/// A written date and its meaning.
struct DatePair {
  std::string text;  // "le 3 mai 1998"
  std::string iso;   // "1998-05-03"
  std::string_view language;
};

enum class DateSplit { train, test };

enum class LetterCase { as_written, lower, upper };

/// The days that dates are drawn from: 1930-01-01 .. 2029-12-31. In these one hundred years, two
/// digits identify the year: 30 .. 99 are 1930 .. 1999, and 00 .. 29 are 2000 .. 2029.
constexpr std::chrono::sys_days first_date =
    std::chrono::year{1930} / std::chrono::January / std::chrono::day{1};
constexpr std::chrono::sys_days last_date =
    std::chrono::year{2029} / std::chrono::December / std::chrono::day{31};

/// Returns true for test days, which are one day in ten. This depends on the calendar day only, not
/// on style or seed. So a model has never seen a test date in training, in any language.
bool is_test_day(std::chrono::sys_days day);

/// Returns the number of ways to write a date. They are English, German, French, Spanish, Italian
/// and Dutch, with and without the (correct) day of the week, long, short and in figures. Each text
/// has one meaning, which the order of its figures determines:
///   5/3/1998, 5/3/98     month/day/year (American)
///   3.5.1998, 3.5.98     day.month.year (German)
///   3-5-1998, 03-05-98   day-month-year (Dutch)
///   1998-3-5, 1998/03/05 year, month, day
int date_styles();
std::string_view date_language(int style);

/// Writes the date in a style, 0 .. date_styles() - 1. Throws std::out_of_range for another style.
std::string write_date(std::chrono::sys_days day, int style, LetterCase letters);

/// Returns the ISO 8601 form, such as "1998-05-03".
std::string iso_date(std::chrono::sys_days day);

/// Returns the pair for (seed, index), identical on every machine. Any index is allowed.
DatePair make_date(std::uint64_t seed, std::uint64_t index, DateSplit split);

}  // namespace rapt::examples
