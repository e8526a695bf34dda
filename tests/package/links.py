#!/usr/bin/env python3
"""Fails where a document names a file that is not there.

Checks the relative links of all documents, and the paths in backticks that begin with a folder of the
tree. A path with capital letters (`ops/FAMILY`) or a `*` stands for others, and is passed over.
"""
import pathlib
import re
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = "framework|ops|optim|models|tasks|include|examples|tests|bench|docs|cmake"


def exists(path):
    """A path as it stands, or without the extension of a source."""
    return path.exists() or any(path.parent.glob(path.name + ".?pp"))


def main():
    failures, links = [], 0
    for document in sorted([*TREE.glob("*.md"), *TREE.glob("docs/*.md")]):
        for number, line in enumerate(document.read_text().split("\n"), 1):
            named = [document.parent / target.split("#")[0]
                     for target in re.findall(r"\]\(([^)\s]+)\)", line)
                     if not re.match(r"https?:|mailto:|#", target)]
            named += [TREE / path for path in re.findall(rf"`((?:{FOLDERS})/[\w./-]+)`", line)
                      if not re.search(r"/[A-Z]+\b|[A-Z]{3,}", path)]
            links += len(named)
            failures += [f"{document.relative_to(TREE)}:{number}: there is no {path.relative_to(TREE)}"
                         for path in named if not exists(path)]
    if not links:
        failures.append("no link was found")
    if failures:
        sys.exit("\n".join(failures))
    print(f"{links} links and paths lead to files")


main()
