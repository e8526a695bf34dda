// Written by score_figures.py, which works them out by other means.
// clang-format off
#pragma once

#include <string>

namespace figures {

inline const std::string hypotheses[] = {
    "Hello, world! It's 3.14 or 1,000.5...",
    "A man (in a \042red\042 coat) -- 5-year-old; x-y 7- 8 .5 5. ,a",
    "the cat on the mat sat quietly today",
    "caf\303\251\302\240au lait \342\200\224 d\303\251j\303\240 vu\343\200\202 \346\227\245\346\234\254\350\252\236\343\200\200text \302\253quoted\302\273 50\342\202\254 + 3\302\245",
    "one two three four five",
    "",
    "b c d e f a g h",
    "\346\210\221\347\210\261\345\214\227\344\272\254\345\244\251\345\256\211\351\227\250,abc 1,000 x.",
};

inline const std::string references[] = {
    "Hello world! It is 3.14, or 1,000.5.",
    "A man in a \042red\042 coat - a 5-year-old; x-y, 7- 8 .5 5. , a",
    "today the cat sat quietly on the mat",
    "Caf\303\251 au lait \342\200\223 d\303\251j\303\240 vu \343\200\202 \346\227\245\346\234\254 text \342\200\234quoted\342\200\235 50 \342\202\254 + 3 \302\245",
    "one two three five six",
    "nothing",
    "a b c d e f g h",
    "\346\210\221\347\210\261\345\244\251\345\256\211\351\227\250, abc 1000 x .",
};

inline const std::string intl_tokens[] = {
    "Hello , world ! It ' s 3.14 or 1,000.5 . . .",
    "A man ( in a \042 red \042 coat ) - - 5 - year - old ; x - y 7 - 8 . 5 5 . , a",
    "the cat on the mat sat quietly today",
    "caf\303\251 au lait \342\200\224 d\303\251j\303\240 vu \343\200\202 \346\227\245\346\234\254\350\252\236 text \302\253 quoted \302\273 50 \342\202\254 + 3 \302\245",
    "one two three four five",
    "",
    "b c d e f a g h",
    "\346\210\221\347\210\261\345\214\227\344\272\254\345\244\251\345\256\211\351\227\250 , abc 1,000 x .",
};

inline constexpr double intl_bleu = 47.01609750560735;
inline const double intl_sentences[] = {
    14.211672443220438,
    70.27118711045375,
    31.23939936920256,
    32.9340597116918,
    42.72870063962341,
    0.0,
    61.478815295126445,
    22.95748846661433,
};

inline const std::string zh_tokens[] = {
    "Hello , world ! It's 3.14 or 1,000.5 . . .",
    "A man ( in a \042 red \042 coat ) -- 5 - year-old ; x-y 7 - 8 . 5 5 . , a",
    "the cat on the mat sat quietly today",
    "caf\303\251 au lait \342\200\224 d\303\251j\303\240 vu \343\200\202 \346\227\245 \346\234\254 \350\252\236 text \302\253quoted\302\273 50 \342\202\254 + 3\302\245",
    "one two three four five",
    "",
    "b c d e f a g h",
    "\346\210\221 \347\210\261 \345\214\227 \344\272\254 \345\244\251 \345\256\211 \351\227\250 , abc 1,000 x .",
};

inline constexpr double zh_bleu = 45.510535601292425;
inline const double zh_sentences[] = {
    9.864703138979415,
    66.9466014459718,
    31.23939936920256,
    30.411490813123272,
    42.72870063962341,
    0.0,
    61.478815295126445,
    40.637982820134425,
};

inline constexpr double chrf_0 = 65.69317564024169;
inline const double chrf_0_sentences[] = {
    63.79927868295249,
    73.28385143412588,
    76.75400217066884,
    59.715680364507755,
    68.84130462973302,
    0.0,
    47.73809523809524,
    61.92051829926116,
};

inline constexpr double chrf_2 = 63.92655120941752;
inline const double chrf_2_sentences[] = {
    58.241730872458426,
    75.06950270225317,
    77.20835877085875,
    50.10868006226288,
    67.88882609000096,
    0.0,
    57.232142857142854,
    54.0895290103436,
};

struct Edits {
  std::string hypothesis, reference;
  long edits;
};
inline const Edits edits[] = {
    {"c g a b", "c g a b b f", 2},
    {"a b g g", "a b g g", 0},
    {"b a a b", "b g a b", 1},
    {"b", "c", 1},
    {"d h h f e d c h g f", "d h g f h h f e d c", 1},
    {"h g h g a b c h b b f c", "h e b b g c f c h g a b", 3},
    {"", "a e", 2},
    {"g e c z e g f g", "g e c g e g f g", 1},
    {"x", "h", 1},
    {"b f c h g g g h a f", "f c a h g g g g b h", 4},
    {"b", "b", 0},
    {"f h h h h b b h c b", "f h b b h h h h e b", 2},
    {"d", "d", 0},
    {"d f d h d d h f a a e d g", "d f d d d g d d h f a a e", 2},
    {"d h a h f b", "d h a h f b", 0},
    {"c c g f g h b", "d h c g f b g", 3},
    {"d", "b", 1},
    {"d f h g c a f h g", "d f e g c a f h g", 1},
    {"a c c", "a c c c h b a f h b", 7},
    {"e a b h", "e a b h", 0},
    {"b h f d e h h d e d h c g", "b h f d e h h d e d h c g", 0},
    {"h d f b g b d", "h f b d g b d", 1},
    {"g b b h d a c d", "d b g h c d c g", 5},
    {"d b", "d b", 0},
    {"e x", "e a c e c", 4},
    {"d d", "d b", 1},
    {"e a c", "e a c", 0},
    {"h c e f a", "h c e f a", 0},
    {"g h g e d d f d c g f", "g h g e d d f d c g f", 0},
    {"c a c a b f e b e g d e a h", "c a b e g c a b g e d e a h", 2},
    {"f", "f d a e d f c a f", 8},
    {"c g f h c e c a g c", "c g f h c e c a g c", 0},
    {"d b a a c f b g h a a d h e", "d b a a c f b g h a a d h e", 0},
    {"b b b h e b e d", "b b b h e b e d", 0},
    {"h e", "h e", 0},
    {"d e a h b c a f b c", "d b c f e e c a h a", 6},
    {"", "e", 1},
    {"c a h g a b h g", "h g a c a h h g", 2},
    {"y d", "d a", 2},
    {"b c d a e", "b a e c d", 1},
    {"d b e a e h c h a", "d b a g h c e h a", 2},
    {"e g d x h g b c c b d h", "e g d e h g b c c b d h", 1},
    {"b x b", "b c f b", 2},
    {"f a h d f", "f a h e f", 1},
    {"z a c g e a x", "h g e a c a g", 3},
    {"a c d c e a e y b a f b b b", "h b a a c d a e c e g b b b", 5},
    {"d h d d a h g b e g e a a d", "d h d d a g e a a d h g b e", 1},
    {"g f g d a e", "g f g d a e", 0},
    {"h d", "h d e d", 2},
    {"c h", "h c", 1},
    {"g a d", "g a d", 0},
    {"c g g h a a c f b b", "c g a a c g h f b b", 1},
    {"h a e g f f h c b", "h a e g f f h c b", 0},
    {"e x", "e b", 1},
    {"y h", "f f h a", 3},
    {"f e e c b d f h a h g e", "f e e a b a d b h h g e", 3},
    {"b a h f c g b", "b a h f c g b", 0},
    {"b h y g h", "b d b g h", 2},
    {"a d c", "d d c", 1},
    {"h", "h", 0},
    {"Hello, world! It's 3.14 or 1,000.5...", "Hello world! It is 3.14, or 1,000.5.", 5},
    {"A man (in a \042red\042 coat) -- 5-year-old; x-y 7- 8 .5 5. ,a", "A man in a \042red\042 coat - a 5-year-old; x-y, 7- 8 .5 5. , a", 7},
    {"the cat on the mat sat quietly today", "today the cat sat quietly on the mat", 2},
    {"caf\303\251\302\240au lait \342\200\224 d\303\251j\303\240 vu\343\200\202 \346\227\245\346\234\254\350\252\236\343\200\200text \302\253quoted\302\273 50\342\202\254 + 3\302\245", "Caf\303\251 au lait \342\200\223 d\303\251j\303\240 vu \343\200\202 \346\227\245\346\234\254 text \342\200\234quoted\342\200\235 50 \342\202\254 + 3 \302\245", 9},
    {"one two three four five", "one two three five six", 2},
    {"", "nothing", 1},
    {"b c d e f a g h", "a b c d e f g h", 1},
    {"\346\210\221\347\210\261\345\214\227\344\272\254\345\244\251\345\256\211\351\227\250,abc 1,000 x.", "\346\210\221\347\210\261\345\244\251\345\256\211\351\227\250, abc 1000 x .", 5},
};

}  // namespace figures
