#!/usr/bin/env python3
"""Finds tests by name, before anything is built: what has to be built for them, and the expression by which CTest
selects them.

Usage: script/named_tests.py BUILD_DIRECTORY NAME...
  NAME   a suite (QueueState), a test (QueueState.SafetyR23_*; `*` stands for any characters), a test program (lock_test),
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
CONTRACT = ROOT / "tests" / "contract"
ON_A_STORE = re.compile(r"^SHAREDLOCK_INSTANTIATE_STORE_CONTRACT\((\w+),", re.MULTILINE)  # tries the contract's suites


@dataclass
class Test:
    target: str
    source: str  # its path relative to the root
    name: str  # as in CTest: Suite.Case, for the contract Store.Case; for a program of its own its name
    suite: str


def compiled_tests(build):
    contract = [case for header in sorted(CONTRACT.glob("*.h")) for case in CASE.findall(header.read_text())]
    for line in (build / "tests.txt").read_text().splitlines():
        target, _, source = line.partition(" ")
        text = Path(source).read_text()
        path = Path(source).relative_to(ROOT).as_posix()
        for suite, case in CASE.findall(text):
            yield Test(target, path, f"{suite}.{case}", suite)
        for store in ON_A_STORE.findall(text):
            for suite, case in contract:
                yield Test(target, path, f"{store}.{case}", suite)


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
        yield Test(target, source, test["name"], "")


def means(name, test):
    path = name.rstrip("/").removeprefix("./")
    return (
        fnmatch.fnmatchcase(test.name, name)
        or fnmatch.fnmatchcase(f"{test.suite}.{test.name.partition('.')[2]}", name)
        or name in (test.suite, test.name.partition(".")[0])
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
    # A suite with values is called Values/Suite; a case of one with types Suite.Case<Type>. CTest's expressions may
    # have few groups.
    suites = "|".join(sorted(name[:-1] for name in names if name.endswith(".")))
    cases = "|".join(sorted(name.replace(".", "[/0-9]*[.]") for name in names if not name.endswith(".")))
    ways = [f"({suites})[/0-9]*[.]"] * bool(suites) + [f"({cases})(/|<|$)"] * bool(cases)
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
