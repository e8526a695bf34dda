// Dates as people write them, with their ISO 8601 form: the data of the date translation demo.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace rapt::examples {

/// A date as somebody wrote it, and what it means.
struct DatePair {
  std::string text;  // "le 3 mai 1998"
  std::string iso;   // "1998-05-03"
  std::string_view language;
};

enum class DateSplit { train, test };

enum class LetterCase { as_written, lower, upper };

/// The days that dates are drawn from: 1930-01-01 .. 2029-12-31. These are one hundred years, so
/// that two digits name a year: 30 .. 99 are 1930 .. 1999, and 00 .. 29 are 2000 .. 2029.
constexpr std::chrono::sys_days first_date =
    std::chrono::year{1930} / std::chrono::January / std::chrono::day{1};
constexpr std::chrono::sys_days last_date =
    std::chrono::year{2029} / std::chrono::December / std::chrono::day{31};

/// One day in ten is a test day. It belongs to the calendar day, whatever style or seed it is
/// written with: a model that is right on test dates has never seen that date in any language.
bool is_test_day(std::chrono::sys_days day);

/// The ways to write a date: English, German, French, Spanish, Italian and Dutch ones, with and
/// without the (right) day of the week, long, short and in figures. Each text has one meaning,
/// which the order of figures alone decides:
///   5/3/1998, 5/3/98   month/day/year (American)       1998-3-5, 1998/03/05   year, month, day
///   3.5.1998, 3.5.98   day.month.year (German)         3-5-1998, 03-05-98     day-month-year
///   (Dutch)
int date_styles();
std::string_view date_language(int style);

/// The date in a style, 0 .. date_styles() - 1. Throws std::out_of_range for another.
std::string write_date(std::chrono::sys_days day, int style, LetterCase letters);

/// The ISO 8601 form, "1998-05-03".
std::string iso_date(std::chrono::sys_days day);

/// The pair that (seed, index) stands for, the same on every machine; any index may be asked for.
DatePair make_date(std::uint64_t seed, std::uint64_t index, DateSplit split);

}  // namespace rapt::examples
