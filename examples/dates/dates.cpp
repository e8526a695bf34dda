#include "examples/dates/dates.hpp"

#include <fmt/format.h>

#include <array>
#include <iterator>
#include <stdexcept>

#include "tasks/data/hash.hpp"
#include "tasks/text/utf8.hpp"

namespace rapt::examples {
using namespace tasks;
namespace {

using std::chrono::days;
using std::chrono::sys_days;

struct Language {
  std::string_view name;
  std::array<std::string_view, 12> months, short_months;
  std::array<std::string_view, 7> weekdays, short_weekdays;  // starting with Sunday
};

constexpr Language english{
    "English",
    {"January", "February", "March", "April", "May", "June", "July", "August", "September",
     "October", "November", "December"},
    {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
    {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
    {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}};
constexpr Language german{
    "German",
    {"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
     "November", "Dezember"},
    {"Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.",
     "Dez."},
    {"Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"},
    {"So.", "Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa."}};
constexpr Language french{"French",
                          {"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août",
                           "septembre", "octobre", "novembre", "décembre"},
                          {"janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août",
                           "sept.", "oct.", "nov.", "déc."},
                          {"dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"},
                          {"dim.", "lun.", "mar.", "mer.", "jeu.", "ven.", "sam."}};
constexpr Language spanish{
    "Spanish",
    {"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre",
     "octubre", "noviembre", "diciembre"},
    {"ene.", "feb.", "mar.", "abr.", "may.", "jun.", "jul.", "ago.", "sept.", "oct.", "nov.",
     "dic."},
    {"domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado"},
    {"dom.", "lun.", "mar.", "mié.", "jue.", "vie.", "sáb."}};
constexpr Language italian{
    "Italian",
    {"gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre",
     "ottobre", "novembre", "dicembre"},
    {"gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"},
    {"domenica", "lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato"},
    {"dom", "lun", "mar", "mer", "gio", "ven", "sab"}};
constexpr Language dutch{
    "Dutch",
    {"januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september",
     "oktober", "november", "december"},
    {"jan.", "feb.", "mrt.", "apr.", "mei", "juni", "juli", "aug.", "sept.", "okt.", "nov.",
     "dec."},
    {"zondag", "maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag"},
    {"zo", "ma", "di", "wo", "do", "vr", "za"}};

// Format codes: d day, dd two digits, o ordinal, m mm M b month (figures, two digits, name, short
// name), y yy year, W w weekday (name, short name), il the Italian article.
struct Style {
  const Language* language;
  const char* pattern;
};

constexpr Style styles[] = {
    {&english, "{M} {d}, {y}"},
    {&english, "{M} {o}, {y}"},
    {&english, "{d} {M} {y}"},
    {&english, "{o} {M} {y}"},
    {&english, "the {o} of {M} {y}"},
    {&english, "{W}, {d} {M} {y}"},
    {&english, "{W}, {M} {d}, {y}"},
    {&english, "{W}, {M} {o}, {y}"},
    {&english, "{w} {d} {b} {y}"},
    {&english, "{b} {d}, {y}"},
    {&english, "{d} {b} {yy}"},
    {&english, "{d}-{b}-{y}"},
    {&english, "{m}/{d}/{y}"},
    {&english, "{m}/{d}/{yy}"},
    {&english, "{mm}/{dd}/{y}"},
    {&english, "{y}/{mm}/{dd}"},
    {&english, "{y}-{m}-{d}"},
    {&german, "{d}. {M} {y}"},
    {&german, "den {d}. {M} {y}"},
    {&german, "am {d}. {M} {y}"},
    {&german, "{W}, {d}. {M} {y}"},
    {&german, "{W}, den {d}. {M} {y}"},
    {&german, "{w}, {d}. {b} {y}"},
    {&german, "{d}. {b} {y}"},
    {&german, "{d}.{m}.{y}"},
    {&german, "{d}.{m}.{yy}"},
    {&german, "{dd}.{mm}.{y}"},
    {&german, "{w} {d}.{m}.{yy}"},
    {&french, "{o} {M} {y}"},
    {&french, "le {o} {M} {y}"},
    {&french, "{W} {o} {M} {y}"},
    {&french, "le {W} {o} {M} {y}"},
    {&french, "{w} {o} {b} {y}"},
    {&french, "{o} {b} {yy}"},
    {&spanish, "{d} de {M} de {y}"},
    {&spanish, "{d} de {M} del {y}"},
    {&spanish, "el {o} de {M} de {y}"},
    {&spanish, "{W}, {d} de {M} de {y}"},
    {&spanish, "el {W} {d} de {M} de {y}"},
    {&spanish, "{w} {d} {b} {y}"},
    {&spanish, "{d} {b} {yy}"},
    {&italian, "{o} {M} {y}"},
    {&italian, "{il}{o} {M} {y}"},
    {&italian, "{W} {o} {M} {y}"},
    {&italian, "{w} {d} {b} {y}"},
    {&italian, "{d} {b} {yy}"},
    {&dutch, "{d} {M} {y}"},
    {&dutch, "op {d} {M} {y}"},
    {&dutch, "{W} {d} {M} {y}"},
    {&dutch, "{w} {d} {b} {y}"},
    {&dutch, "{d} {b} {yy}"},
    {&dutch, "{d}-{m}-{y}"},
    {&dutch, "{dd}-{mm}-{yy}"},
};

std::string ordinal(const Language& language, unsigned day) {
  if (&language == &english) {
    const bool teens = day >= 11 && day <= 13;
    const unsigned last = teens ? 0 : day % 10;
    return fmt::format("{}{}", day, last == 1 ? "st" : last == 2 ? "nd" : last == 3 ? "rd" : "th");
  }
  // The other languages use cardinal numbers, except for the first day.
  if (day > 1) return fmt::format("{}", day);
  return &language == &french ? "1er" : &language == &spanish ? "1.º" : "1º";
}

// Returns "l'" if the number's word begins with a vowel: otto, undici.
std::string_view italian_article(unsigned day) { return day == 8 || day == 11 ? "l'" : "il "; }

}  // namespace

bool is_test_day(sys_days day) {
  const auto number = static_cast<std::uint64_t>((day - first_date).count());
  return below(10, hash(0xDA7E, number)) == 0;
}

int date_styles() { return static_cast<int>(std::size(styles)); }

std::string_view date_language(int style) {
  if (style < 0 || style >= date_styles()) {
    throw std::out_of_range(fmt::format("date style {} of {}", style, date_styles()));
  }
  return styles[style].language->name;
}

std::string write_date(sys_days date, int style, LetterCase letters) {
  date_language(style);  // throws for an invalid style
  const Language& language = *styles[style].language;
  const std::chrono::year_month_day ymd(date);
  const int year = static_cast<int>(ymd.year());
  const auto month = static_cast<unsigned>(ymd.month());
  const auto day = static_cast<unsigned>(ymd.day());
  const unsigned weekday = std::chrono::weekday(date).c_encoding();
  const std::string text = fmt::format(
      fmt::runtime(styles[style].pattern), fmt::arg("d", day),
      fmt::arg("dd", fmt::format("{:02}", day)), fmt::arg("o", ordinal(language, day)),
      fmt::arg("m", month), fmt::arg("mm", fmt::format("{:02}", month)),
      fmt::arg("M", language.months[month - 1]), fmt::arg("b", language.short_months[month - 1]),
      fmt::arg("y", year), fmt::arg("yy", fmt::format("{:02}", year % 100)),
      fmt::arg("W", language.weekdays[weekday]), fmt::arg("w", language.short_weekdays[weekday]),
      fmt::arg("il", italian_article(day)));
  if (letters == LetterCase::lower) return lower_case(text);
  if (letters == LetterCase::upper) return upper_case(text);
  return text;
}

std::string iso_date(sys_days day) {
  const std::chrono::year_month_day ymd(day);
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(ymd.year()),
                     static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()));
}

DatePair make_date(std::uint64_t seed, std::uint64_t index, DateSplit split) {
  constexpr auto range = static_cast<std::uint64_t>((last_date - first_date).count()) + 1;
  std::uint64_t bits = hash(hash(seed, index), split == DateSplit::test ? 1 : 0);
  sys_days day;
  do {
    bits = hash(bits);
    day = first_date + days(below(range, bits));
  } while (is_test_day(day) != (split == DateSplit::test));
  const auto style = static_cast<int>(below(std::size(styles), hash(bits, 1)));
  // Half of the dates are in print form; the others are in lower or upper case, as people type.
  constexpr LetterCase cases[] = {LetterCase::as_written, LetterCase::as_written, LetterCase::lower,
                                  LetterCase::upper};
  const LetterCase letters = cases[below(std::size(cases), hash(bits, 2))];
  return {write_date(day, style, letters), iso_date(day), date_language(style)};
}

}  // namespace rapt::examples
