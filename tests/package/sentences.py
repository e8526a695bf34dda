#!/usr/bin/env python3
"""Measures the sentences of comments and documents.

    sentences.py [--long N] [PATH...]

Prints per folder and per document: sentences, mean words, the longest, and how many have over 35
words. --long N lists those over N words as well, each with file and line. Fails where a mean is above
18 or a sentence has over 35 words. A PATH is a file or a folder, from the top of the tree or from
where the script is called.

Without a PATH it reads the comments of framework, ops, optim, models, tasks, examples, bench and include,
and the prose of README.md, CONTRIBUTING.md and docs/*.md. docs/performance.md and docs/results.md are
left out then: they are records of measurements, commands and figures for the most part.

Comments are joined over their lines. A sentence ends at . ! ? : or ; before a space, or where a
paragraph or a list item ends. Code in backticks, a formula, a call and a shape such as [B, T, D] count
as one word. Code blocks, tables, headings, images and URLs are left out, as is a label of one word.
"""
import argparse
import collections
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["framework", "ops", "optim", "models", "tasks", "examples", "bench", "include"]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/*.md"]
LEFT_OUT = ["docs/performance.md", "docs/results.md"]
MOST_MEAN, MOST_WORDS = 18, 35

# What may hold // without being a comment comes first. An apostrophe behind a digit separates digits.
TOKEN = re.compile(
    r'R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'"
    r"|(?P<line>//[^\n]*)|(?P<block>/\*.*?\*/)", re.DOTALL)
LIST_ITEM = re.compile(r"\s*([-*+]|\d+[.)])\s+(?=\S)")
END = re.compile(r"""(?<![.\s])[.!?:;]["')\]*_]*(?=\s|$)""")
ABBREVIATION = re.compile(r"\b(al|e\.g|i\.e|cf|vs|Fig|No|approx)\.$")
TERMS = r"[\w.*+/-]+(?: [\w.*+/-]+){0,4}"
OPERATOR = r"(?:[-+*/%^=<>&|]|[-+*/<>=!]=|->|<-|<<|>>|&&|\|\|)"


class Text:
    """A paragraph as it grows: its lines, and the number of each."""

    def __init__(self):
        self.paragraphs, self.open = [], []

    def add(self, number, text):
        self.open.append((number, text))

    def end(self):
        if self.open:
            self.paragraphs.append(self.open)
        self.open = []


def comment_lines(source):
    """(line, column, marker, text, whether code stands before it) of each line of a comment."""
    for match in TOKEN.finditer(source):
        if match.lastgroup not in ("line", "block"):
            continue
        number = source.count("\n", 0, match.start()) + 1
        begin = source.rfind("\n", 0, match.start()) + 1
        trailing = source[begin:match.start()].strip() != ""
        column = match.start() - begin
        if match.lastgroup == "line":
            marker, text = re.match(r"(///<|//!<|///|//!|//)(.*)", match.group()).groups()
            yield number, column, marker, text, trailing
        else:
            for i, text in enumerate(match.group()[2:-2].split("\n")):
                yield number + i, column, "/*", re.sub(r"^\s*\*+", "", text), trailing and i == 0


def comments(source):
    text, last, in_item = Text(), None, False
    for number, column, marker, line, trailing in comment_lines(source):
        # A block goes on where the next line has a comment alone, in the same column.
        if last is None or trailing or (number, column) != (last[0] + 1, last[1]) or (
                marker != last[2] and not last[2].endswith("<")):
            text.end()
            in_item = False
        last = number, column, marker
        indent = len(line) - len(line.lstrip())
        bare = line.strip()
        if not re.search(r"\w", bare):  # a rule, or an empty line
            text.end()
            in_item = False
            continue
        if re.match(r"-{3,}|={3,}|NOLINT|clang-format (on|off)|namespace( [\w:]+)*$", bare):
            text.end()
            continue
        item = LIST_ITEM.match(line)
        if item:
            text.end()
            in_item = True
            text.add(number, line[item.end():])
        elif indent >= 3 and not in_item and not trailing:
            text.end()  # an example in code
        else:
            text.add(number, bare)
    text.end()
    return text.paragraphs


def prose(source):
    text, fence = Text(), None
    for number, line in enumerate(source.split("\n"), 1):
        bare = line.strip()
        mark = re.match(r"(```+|~~~+)", bare)
        if fence or mark:
            if fence and bare == fence:
                fence = None
            elif not fence:
                fence = mark.group(1)
            text.end()
        elif not bare or re.match(r"#{1,6} |\||!\[|<|\[[^]]+\]: |([-*_] ?){3,}$", bare):
            text.end()
        elif not text.open and line.startswith("    "):
            text.end()  # a block of code
        else:
            item = LIST_ITEM.match(line)
            if item:
                text.end()
                line = line[item.end():]
            text.add(number, line.strip())
    text.end()
    return text.paragraphs


def simplified(paragraph):
    """What stands for one word becomes one. Keeps line breaks, by which lines are counted."""
    def one_word(match):
        return "Code" + "\n" * match.group().count("\n")

    text = "\n".join(line for _, line in paragraph)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"(`+)(?:(?!\1).)+\1", one_word, text, flags=re.DOTALL)
    text = re.sub(r"\[([^\[\]]*)\]\([^()\s]*\)", r"\1", text)
    text = re.sub(r"<?https?://[^\s>)]*[^\s>).,;:]>?", "", text)
    text = re.sub(r"\*\*|__", "", text)
    # A shape or an interval: parts of a few short terms, between commas.
    text = re.sub(rf"[\[(](?:{TERMS},\s)*{TERMS}\]", one_word, text)
    for _ in range(3):  # calls in calls
        text = re.sub(r"\b[A-Za-z_][\w:.]*\([^()\n]*(?:\n[^()\n]*)?\)", one_word, text)
    return re.sub(rf"\S+(?:\s{OPERATOR}\s\S+?(?=[.,;:!?)]*(?:\s|$)))+", one_word, text)


def sentences(paragraph):
    """(line, words, text) of each sentence of a paragraph."""
    text = simplified(paragraph)
    begin = 0
    ends = [m.end() for m in END.finditer(text) if not ABBREVIATION.search(text[:m.end()])]
    for end in ends + [len(text)]:
        part = text[begin:end]
        words = [w for w in part.split() if re.search(r"\w", w)]
        if len(words) > 1:
            lead = len(part) - len(part.lstrip())
            row = text.count("\n", 0, begin + lead)
            yield paragraph[min(row, len(paragraph) - 1)][0], len(words), " ".join(part.split())
        begin = end


def files_of(path):
    if path.is_file():
        return [path]
    return sorted(p for p in path.rglob("*") if p.suffix in (".cpp", ".hpp", ".md"))


def chosen(arguments):
    if not arguments:
        files = [f for folder in FOLDERS for f in files_of(TREE / folder) if f.suffix != ".md"]
        documents = [f for pattern in DOCUMENTS for f in sorted(TREE.glob(pattern))]
        return files + [f for f in documents if f.relative_to(TREE).as_posix() not in LEFT_OUT]
    files = []
    for argument in arguments:
        path = next((p for p in (pathlib.Path(argument).resolve(), TREE / argument) if p.exists()),
                    None)
        if path is None:
            sys.exit(f"sentences: there is no {argument}")
        files += files_of(path)
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", type=int, metavar="N")
    parser.add_argument("paths", nargs="*", metavar="PATH")
    options = parser.parse_args()
    groups, listed = collections.defaultdict(list), []
    for path in chosen(options.paths):
        name = path.relative_to(TREE).as_posix() if path.is_relative_to(TREE) else str(path)
        read = prose if path.suffix == ".md" else comments
        group = name if path.suffix == ".md" else name.rpartition("/")[0]
        for paragraph in read(path.read_text()):
            for line, words, text in sentences(paragraph):
                groups[group].append(words)
                if options.long is not None and words > options.long:
                    listed.append(f"{name}:{line}: {words}: {text}")
    print("sentences  mean  longest  over 35")
    failed = False
    if not groups:
        sys.exit("sentences: there is nothing to read")
    for group, lengths in groups.items():
        mean = sum(lengths) / len(lengths)
        over = sum(n > MOST_WORDS for n in lengths)
        bad = mean > MOST_MEAN or over > 0
        failed |= bad
        print(f"{len(lengths):9}  {mean:4.1f}  {max(lengths):7}  {over:7}  {group}"
              f"{'  <-' if bad else ''}")
    if listed:
        print("\n".join(listed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
