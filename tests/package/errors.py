#!/usr/bin/env python3
"""Finds errors that do not name the operator or the function at fault.

    errors.py [TREE]    fails where an error names none, and says which

Without TREE it checks the tree in which it lies. `throw Error("text")` is right inside an operator
alone, which adds its name and its place: so in ops/, and in a function that operators call. Any other
error is made of ErrorParts with `.op`. On the tape, operands and tensors may be at fault instead.
"""
import pathlib
import re
import sys

FOLDERS = ["framework", "ops", "models", "optim"]
# Where a bare text is completed by the operator, and where the parts need no operator.
BARE = r"ops/.*|framework/core/dtype\.cpp"
NO_OPERATOR = r"framework/graph/.*"
THROW = re.compile(r"throw Error\(\s*")


def end_of(text, start):
    """The end of the call whose parenthesis was opened before `start`. Texts may hold brackets."""
    depth, at = 1, start
    for part in re.finditer(r'"(?:\\.|[^"\\])*"|[()]', text[start:]):
        depth += {"(": 1, ")": -1}.get(part.group(), 0)
        at = start + part.end()
        if depth == 0:
            break
    return at


def main():
    own = pathlib.Path(__file__).resolve().parents[2]
    tree = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else own
    failures, seen = [], 0
    for path in sorted(p for folder in FOLDERS for p in (tree / folder).rglob("*.?pp")):
        name, text = path.relative_to(tree).as_posix(), path.read_text()
        for throw in THROW.finditer(text):
            call = text[throw.end():end_of(text, throw.end())]
            line = text.count("\n", 0, throw.start()) + 1
            seen += 1
            parts = call.startswith("{")
            if parts and ".op = " not in call and not re.fullmatch(NO_OPERATOR, name):
                failures.append(f"{name}:{line}: its ErrorParts have no .op")
            if re.match(r'"|fmt::|std::', call) and not re.fullmatch(BARE, name):
                failures.append(f"{name}:{line}: a bare text outside of an operator")
    if seen == 0:
        failures.append(f"there is no throw in {tree}")
    if failures:
        sys.exit("\n".join(failures))
    print(f"{seen} errors name what is at fault")


main()
