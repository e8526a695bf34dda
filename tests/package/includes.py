#!/usr/bin/env python3
"""Holds the order of the house: who may include whom.

    includes.py [TREE]    fails where an include breaks a rule, and says which

Without TREE it checks the tree in which it lies.

A module is a header with the source of its name. Every include of ours names a file from the top of
the tree ("framework/graph/op.hpp") or of include/ (<rapt/rapt.hpp>). No circle of includes ties
modules, or folders, together.
"""
import collections
import pathlib
import re
import sys

# Folders, and those that they may include.
BELOW = {
    "framework": [],
    "ops": ["framework"],
    "optim": ["framework", "ops"],
    "models": ["framework", "ops", "optim"],
    "tasks": ["framework", "ops", "optim", "models"],
    "include": ["framework", "ops", "optim", "models", "tasks"],
    "examples": ["framework", "ops", "optim", "models", "tasks", "include"],
    "bench": ["framework", "ops", "optim", "models", "include"],
}
# The side that records knows nothing of the side that plans and runs.
NEVER = [("framework/core", "framework/"), ("framework/graph", "framework/plan"),
         ("framework/graph", "framework/run"), ("framework/plan", "framework/check"),
         ("framework/plan", "framework/run")]
# Libraries of others, and the only files that may include them.
DOORS = {
    r"<(tbb|oneapi)/": r"framework/(run/executor\.cpp|run/run\.hpp|core/parallel\.cpp)",
    r"<xsimd/": r"ops/kernels/.*",
    r"<xtensor/": r"include/rapt/xtensor\.hpp",
    r"<fmt/": r".*\.cpp",
    r"<nlohmann/": r"(framework|tasks)/.*\.cpp",
    r"<zlib": r"tasks/text/reader\.cpp",
    r"<unicode/": r"tasks/text/unicode\.cpp",
    r"<sentencepiece": r"tasks/text/subwords\.cpp",
    r"<(jpeglib|jerror|png)": r"tasks/images/images\.cpp",
    r"<sndfile": r"tasks/audio/audio\.cpp",
    r"<kiss_fft": r"tasks/audio/features\.cpp",
    r"<CLI/": r"nothing, but examples,",
}
INTERNAL = "framework/core/internal.hpp"  # makes the names of rapt::internal visible in rapt
EXPORTED = "framework/files/files.hpp"  # private, but rapt::tasks may use it
LIBRARY = ("framework/", "ops/", "models/", "optim/")
KERNELS_MAY = r"\"(ops/kernels/|ops/activation\.hpp|framework/core/(cpu|random_bits)\.hpp)"
KERNELS_NEVER = r"<(vector|string|algorithm|functional|memory|map|iostream)>"


def sources(tree):
    for folder in BELOW:
        for path in sorted((tree / folder).rglob("*.?pp")):
            yield path.relative_to(tree).as_posix()


def includes(tree, name):
    return re.findall(r'^#include (["<][^">]+[">])', (tree / name).read_text(), re.MULTILINE)


def target(tree, include):
    """The file of ours that an include names, or None."""
    path = "include/" * include.startswith("<rapt/") + include[1:-1]
    return path if (tree / path).is_file() else None


def circles(arrows):
    """The groups of nodes that reach each other (Tarjan)."""
    order, low, stack, groups = {}, {}, [], []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in arrows[node]:
            if other not in order:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == order[node]:
            group = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(group) > 1:
                groups.append(group)

    sys.setrecursionlimit(10000)
    for node in list(arrows):
        if node not in order:
            visit(node)
    return groups


def check(tree):
    failures = [f"there is no source in {f}" for f in BELOW if not any((tree / f).rglob("*.?pp"))]
    modules, folders = collections.defaultdict(dict), collections.defaultdict(dict)
    for name in sources(tree):
        top, folder = name.split("/")[0], name.rpartition("/")[0]
        for include in includes(tree, name):
            def wrong(why):
                failures.append(f"{name}: {why}: {include}")

            for library, door in DOORS.items():
                if re.match(library, include) and top not in ("examples", "bench"):
                    if not re.fullmatch(door, name):
                        wrong(f"only {door} includes it")
            if name.startswith("ops/kernels/"):
                if include[0] == '"' and not re.match(KERNELS_MAY, include):
                    wrong("kernels know raw memory only")
                if name.endswith(".cpp") and re.match(KERNELS_NEVER, include):
                    wrong("no standard containers in kernels")
            other = target(tree, include)
            if other is None:
                if include[0] == '"' or include.startswith("<rapt/"):
                    wrong("names no file from the top of the tree or of include/")
                continue
            other_top, other_folder = other.split("/")[0], other.rpartition("/")[0]
            if other_top != top and other_top not in BELOW[top]:
                wrong(f"{top} must not include {other_top}")
            for first, second in NEVER:
                if folder == first and other_folder != first and other.startswith(second):
                    wrong(f"{first} must not include {second}")
            module, other_module = name[:-4], other[:-4]
            if module != other_module:
                modules[module][other_module] = name
            if folder != other_folder:
                folders[folder].setdefault(other_folder, name)
    for what, arrows in (("modules", modules), ("folders", folders)):
        for target_node in [t for a in list(arrows.values()) for t in a]:
            arrows[target_node]
        for group in circles(arrows):
            ties = [f"    {arrows[a][b]} includes {b}" for a in group for b in arrows[a] if b in group]
            failures.append(f"a circle of {what}:\n" + "\n".join(ties))
    failures += names_in_rapt(tree)
    return failures, len(modules), len(folders)


def names_in_rapt(tree):
    """Faults of namespaces: what no public header declares stays out of namespace rapt."""
    public, queue = set(), [p.relative_to(tree).as_posix() for p in tree.glob("include/rapt/*.hpp")]
    while queue:
        name = queue.pop()
        if name not in public:
            public.add(name)
            queue += [t for i in includes(tree, name) if (t := target(tree, i))]
    for name in sources(tree):
        if name.startswith(("tasks/", "examples/")):
            for other in filter(None, (target(tree, i) for i in includes(tree, name))):
                if other.startswith(LIBRARY) and other not in public and other != EXPORTED:
                    yield f"{name}: a shared library hides what it needs of {other}"
        if not name.startswith(LIBRARY) or not name.endswith(".hpp") or name == INTERNAL:
            continue
        opened = re.findall(r"^(?:inline )?namespace ([\w:]+).* \{$", (tree / name).read_text(), re.MULTILINE)
        if name in public and "v0" not in opened and "rapt" in opened:
            yield f"{name}: a public header declares its names in inline namespace v0"
        # The definition of a public inline function may need a private type: `rapt::inline v0`.
        if name not in public and ("rapt" in opened or not any(o.startswith("rapt::") for o in opened)):
            yield f"{name}: no public header includes it: its names belong in rapt::internal"


def main():
    own = pathlib.Path(__file__).resolve().parents[2]
    tree = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else own
    failures, modules, folders = check(tree)
    if failures:
        sys.exit("\n".join(failures))
    print(f"{modules} modules and {folders} folders include each other in one direction")


main()
