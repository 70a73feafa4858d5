#!/usr/bin/env python3
"""Finds tests by name, before anything is built: what has to be built for them, and the expression by which CTest
selects them.

Usage: script/named_tests.py BUILD_DIRECTORY NAME...
  NAME   a suite (LineBook), a test (LineBook.SafetyR23_*; `*` stands for any characters), a test program (lock_test),
         a test that is a program of its own (image_test), a source (src/lock/rules_test.cpp), or a folder (src/lock)
Prints the targets on the first line and the expression on the second. Exits with 1 when a name means nothing.
"""

import fnmatch
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CASE = re.compile(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)
CONTRACT = "contract/store_contract.h"  # its suites are tried on each store that includes it


@dataclass
class Test:
    target: str
    source: str  # its path below the root
    name: str  # Suite.Case; of a program of its own its name


def cases_of(source):
    """Suite.Case of all that a source has, with those of the contract where it tries a store by that."""
    texts = [source.read_text()]
    if f'#include "{CONTRACT}"' in texts[0]:
        texts += [header.read_text() for header in (ROOT / "tests" / CONTRACT).parent.glob("*.h")]
    return [f"{suite}.{case}" for text in texts for suite, case in CASE.findall(text)]


def compiled_tests(build):
    for line in (build / "tests.txt").read_text().splitlines():
        target, _, source = line.partition(" ")
        for name in cases_of(Path(source)):
            yield Test(target, Path(source).relative_to(ROOT).as_posix(), name)


def program_tests(build):
    """Those that are programs of their own; what their commands name in the build directory has to be built."""
    listed = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1"], check=True, capture_output=True)
    for test in json.loads(listed.stdout)["tests"]:
        command = [Path(word) for word in test.get("command", [])]
        scripts = [word for word in command if word.is_relative_to(ROOT) and not word.is_relative_to(build)]
        if not scripts:
            continue
        built = [word.relative_to(build).as_posix() for word in command if word.is_relative_to(build)]
        source = scripts[0].relative_to(ROOT).as_posix()
        target = "all" if "." in built or source.startswith("script/") else " ".join(built)
        yield Test(target, source, test["name"])


def means(name, test):
    path = name.rstrip("/").removeprefix("./")
    return (
        fnmatch.fnmatchcase(test.name, name)
        or fnmatch.fnmatchcase(test.name.partition(".")[0], name)
        or test.target == name
        or test.source == path
        or test.source.startswith(path + "/")
    )


def expression_of(meant, known):
    names = {test.name for test in meant}
    for suite in {name.partition(".")[0] for name in names if "." in name}:
        whole = {test.name for test in known if test.name.startswith(f"{suite}.")}
        if whole <= names:
            names = names - whole | {f"{suite}."}
    # A suite that has values is called Values/Suite, one that has types Suite/0. CTest's expressions may have few groups.
    suites = "|".join(sorted(name[:-1] for name in names if name.endswith(".")))
    cases = "|".join(sorted(name.replace(".", "[/0-9]*[.]") for name in names if not name.endswith(".")))
    ways = [f"({suites})[/0-9]*[.]"] * bool(suites) + [f"({cases})(/|$)"] * bool(cases)
    return f"(^|/)({'|'.join(ways)})"


def main(build, names):
    known = [*compiled_tests(build), *program_tests(build)]
    found = []
    for name in names:
        meant = [test for test in known if means(name, test)]
        if not meant:
            sys.exit(f"named_tests: no test, suite, test program, source or folder is called {name}")
        found += meant
    print(" ".join(sorted({target for test in found for target in test.target.split()})))
    print(expression_of(found, known))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
