#!/usr/bin/env python3
"""Writes score_figures.hpp: scores worked out from the published definitions, by other means.

TER follows Snover et al. 2006 with Tercom's limits, chrF++ Popovic 2017, and the tokens intl and zh
mteval-v14.pl and the rules that sacrebleu documents. Run: python3 score_figures.py > score_figures.hpp
"""
import math
import random
import re
import unicodedata
from collections import Counter

HYPOTHESES = [
    "Hello, world! It's 3.14 or 1,000.5...",
    "A man (in a \"red\" coat) -- 5-year-old; x-y 7- 8 .5 5. ,a",
    "the cat on the mat sat quietly today",
    "café\u00a0au lait — déjà vu。 日本語\u3000text «quoted» 50€ + 3¥",
    "one two three four five",
    "",
    "b c d e f a g h",
    "我爱北京天安门,abc 1,000 x.",
]
REFERENCES = [
    "Hello world! It is 3.14, or 1,000.5.",
    "A man in a \"red\" coat - a 5-year-old; x-y, 7- 8 .5 5. , a",
    "today the cat sat quietly on the mat",
    "Café au lait – déjà vu 。 日本 text “quoted” 50 € + 3 ¥",
    "one two three five six",
    "nothing",
    "a b c d e f g h",
    "我爱天安门, abc 1000 x .",
]


def distance(words, right):
    """Levenshtein distance, and for each word of `right` its place in `words` and both sides' errors."""
    n, m = len(words), len(right)
    cost = [[0] * (m + 1) for _ in range(n + 1)]
    step = [[None] * (m + 1) for _ in range(n + 1)]
    for i in range(n + 1):
        for j in range(m + 1):
            if i == 0 and j == 0:
                continue
            offers = []
            if i and j:
                same = words[i - 1] == right[j - 1]
                offers.append((cost[i - 1][j - 1] + (not same), 0, "keep" if same else "sub"))
            if i:
                offers.append((cost[i - 1][j] + 1, 1, "left"))
            if j:
                offers.append((cost[i][j - 1] + 1, 2, "right"))
            cost[i][j], _, step[i][j] = min(offers)
    places, wrong_right, wrong_left = [0] * m, [False] * m, [False] * n
    i, j = n, m
    while i or j:
        s = step[i][j]
        if s in ("keep", "sub"):
            places[j - 1], wrong_right[j - 1], wrong_left[i - 1] = i - 1, s == "sub", s == "sub"
            i, j = i - 1, j - 1
        elif s == "left":
            wrong_left[i - 1] = True
            i -= 1
        else:
            places[j - 1], wrong_right[j - 1] = i - 1, True
            j -= 1
    return cost[n][m], places, wrong_right, wrong_left


def ter(words, right):
    shifts = 0
    while True:
        before, places, wrong_right, wrong_left = distance(words, right)
        best = None
        for a in range(len(words)):
            for b in range(len(right)):
                for size in range(1, 11):
                    if a + size > len(words) or b + size > len(right) or abs(a - b) > 50:
                        break
                    if words[a:a + size] != right[b:b + size]:
                        break
                    if not any(wrong_left[a:a + size]) or not any(wrong_right[b:b + size]):
                        continue
                    if a <= places[b] < a + size:
                        continue
                    for k in range(b - 1, b + size):
                        target = 0 if k < 0 else places[k] + 1
                        moved, rest = words[a:a + size], words[:a] + words[a + size:]
                        at = target if target <= a + size else target - size
                        new = rest[:at] + moved + rest[at:]
                        rank = (before - distance(new, right)[0], size, -a, -target)
                        if best is None or rank > best[0]:
                            best = (rank, new)
        if best is None or best[0][0] <= 0:
            return shifts + before
        words, shifts = best[1], shifts + 1


def ngrams(items, n):
    return Counter(tuple(items[i:i + n]) for i in range(len(items) - n + 1))


def chrf_words(line):
    marks, words = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", []
    for w in line.split():
        if len(w) > 1 and w[-1] in marks:
            words += [w[:-1], w[-1]]
        elif len(w) > 1 and w[0] in marks:
            words += [w[0], w[1:]]
        else:
            words.append(w)
    return words


def chrf_counts(hyp, ref, word_order):
    out = []
    pairs = [("".join(hyp.split()), "".join(ref.split()), n) for n in range(1, 7)]
    pairs += [(chrf_words(hyp), chrf_words(ref), n) for n in range(1, word_order + 1)]
    for a, b, n in pairs:
        a, b = ngrams(a, n), ngrams(b, n)
        out.append((sum(a.values()) if b else 0, sum(b.values()), sum((a & b).values())))
    return out


def chrf(counts):
    used = [(c / a, c / b) for a, b, c in counts if a and b]
    if not used:
        return 0
    p, r = sum(u[0] for u in used) / len(used), sum(u[1] for u in used) / len(used)
    return 100 * 5 * p * r / (4 * p + r) if p + r else 0


def intl(line):
    kind = lambda c: unicodedata.category(c)[0]
    out, i = "", 0
    while i < len(line):
        if i + 1 < len(line) and kind(line[i]) != "N" and kind(line[i + 1]) == "P":
            out, i = out + line[i] + " " + line[i + 1] + " ", i + 2
        else:
            out, i = out + line[i], i + 1
    line, out, i = out, "", 0
    while i < len(line):
        if i + 1 < len(line) and kind(line[i]) == "P" and kind(line[i + 1]) != "N":
            out, i = out + " " + line[i] + " " + line[i + 1], i + 2
        else:
            out, i = out + line[i], i + 1
    return "".join(f" {c} " if kind(c) == "S" else c for c in out).split()


def zh(line):
    ranges = [("\u3400", "\u4db5"), ("\u4e00", "\u9fbb"), ("\uf900", "\ufa2d"), ("\ufa30", "\ufa6a"),
              ("\ufa70", "\ufad9"), ("\u20000", "\u2a6d6"), ("\u2f800", "\u2fa1d"),
              ("\uff00", "\uffef"), ("\u2e80", "\u2eff"), ("\u3000", "\u303f"), ("\u31c0", "\u31ef"),
              ("\u2f00", "\u2fdf"), ("\u2ff0", "\u2fff"), ("\u3100", "\u312f"), ("\u31a0", "\u31bf"),
              ("\ufe10", "\ufe1f"), ("\ufe30", "\ufe4f"), ("\u2600", "\u26ff"), ("\u2700", "\u27bf"),
              ("\u3200", "\u33ff")]
    line = "".join(f" {c} " if any(a <= c <= b for a, b in ranges) else c for c in line.strip())
    line = re.sub(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])", r" \1 ", line)
    line = re.sub(r"([^0-9])([\.,])", r"\1 \2 ", line)
    line = re.sub(r"([\.,])([^0-9])", r" \1 \2", line)
    return re.sub(r"([0-9])(-)", r"\1 \2 ", line).split()


def bleu(pairs, effective=False):
    right, total, length, wanted = [0] * 4, [0] * 4, 0, 0
    for hyp, ref in pairs:
        length, wanted = length + len(hyp), wanted + len(ref)
        for n in range(4):
            a, b = ngrams(hyp, n + 1), ngrams(ref, n + 1)
            right[n] += sum((a & b).values())
            total[n] += sum(a.values())
    if not any(right):
        return 0
    logs, smooth = [], 1
    for n in range(4):
        if total[n] == 0:
            if effective:
                break
            return 0
        if right[n] == 0:
            smooth *= 2
        logs.append(math.log(right[n] / total[n] if right[n] else 1 / (smooth * total[n])))
    penalty = 1 if length >= wanted else math.exp(1 - wanted / length)
    return 100 * penalty * math.exp(sum(logs) / len(logs))


def literal(text):
    """A C++ literal, in ASCII."""
    out = ""
    for byte in text.encode():
        out += f"\\{byte:03o}" if byte > 126 or chr(byte) in "\"\\?" else chr(byte)
    return f'"{out}"'


def table(kind, name, rows):
    print(f"inline const {kind} {name}[] = {{")
    for row in rows:
        print(f"    {row},")
    print("};\n")


def main():
    print("// Written by score_figures.py, which works them out by other means.")
    print("// clang-format off\n#pragma once\n\n#include <string>\n\nnamespace figures {\n")
    table("std::string", "hypotheses", map(literal, HYPOTHESES))
    table("std::string", "references", map(literal, REFERENCES))
    for tokens, split in (("intl", intl), ("zh", zh)):
        table("std::string", f"{tokens}_tokens", (literal(" ".join(split(h))) for h in HYPOTHESES))
        pairs = [(split(h), split(r)) for h, r in zip(HYPOTHESES, REFERENCES)]
        print(f"inline constexpr double {tokens}_bleu = {bleu(pairs)!r};")
        table("double", f"{tokens}_sentences", (repr(float(bleu([p], True))) for p in pairs))
    for order in (0, 2):
        counts = [chrf_counts(h, r, order) for h, r in zip(HYPOTHESES, REFERENCES)]
        whole = [tuple(map(sum, zip(*column))) for column in zip(*counts)]
        print(f"inline constexpr double chrf_{order} = {chrf(whole)!r};")
        table("double", f"chrf_{order}_sentences", (repr(float(chrf(c))) for c in counts))
    random.seed(7)
    rows = []
    for n in range(60):
        right = [random.choice("abcdefgh") for _ in range(random.randint(1, 14))]
        words = list(right)
        for _ in range(random.randint(0, 3)):  # moves of parts, and changes
            i, k = random.randint(0, len(words)), random.randint(1, 4)
            part, words = words[i:i + k], words[:i] + words[i + k:]
            j = random.randint(0, len(words))
            words = words[:j] + part + words[j:]
            if words and random.random() < 0.6:
                words[random.randrange(len(words))] = random.choice("abcdefghxyz")
        if n % 6 == 0:
            words = words[:random.randint(0, len(words))]
        rows.append((" ".join(words), " ".join(right), ter(words, right)))
    for h, r in zip(HYPOTHESES, REFERENCES):
        rows.append((h, r, ter(h.lower().split(), r.lower().split())))
    print("struct Edits {\n  std::string hypothesis, reference;\n  long edits;\n};")
    table("Edits", "edits", (f"{{{literal(h)}, {literal(r)}, {e}}}" for h, r, e in rows))
    print("}  // namespace figures")


main()
