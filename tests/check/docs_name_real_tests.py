#!/usr/bin/env python3
"""Every test that the documentation names exists. A name is `Suite.Case`, with `*` for any text, or `Suite` alone when
it stands behind an arrow; the tests are those that the sources declare. Prints each name that no test matches."""

import fnmatch
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("docs/semantics.md", "docs/safety.md", "docs/operations.md", "docs/performance.md", "docs/security.md")
DECLARED = re.compile(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", re.MULTILINE)
# `Suite.Case` or `*Case*`; not a file, not a member of a type.
NAMED = re.compile(r"`([A-Z*][A-Za-z0-9*]*(?:\.[A-Z*][A-Za-z0-9_*]*)?)`")


def declared_tests():
    tests = set()
    for source in [*ROOT.glob("src/**/*_test.cpp"), *ROOT.glob("tests/**/*.cpp"), *ROOT.glob("tests/**/*.h")]:
        tests.update(f"{suite}.{case}" for suite, case in DECLARED.findall(source.read_text(encoding="utf-8")))
    return tests


def names_in(text):
    """Names of tests: whatever has a dot or a star, and what stands alone behind an arrow."""
    for name in NAMED.findall(text):
        if "." in name or name.strip("*") and "*" in name:
            yield name
    for promise in re.findall(r"→(.*?)(?:\n\n|\Z)", text, re.DOTALL):
        yield from (name for name in NAMED.findall(promise) if "." not in name and "*" not in name)


def main():
    tests = declared_tests()
    missing = []
    checked = 0
    for page in PAGES:
        path = ROOT / page
        if not path.exists():
            continue
        for name in names_in(path.read_text(encoding="utf-8")):
            pattern = name if "." in name or name.startswith("*") else f"{name}.*"
            checked += 1
            if not any(fnmatch.fnmatchcase(test, pattern) for test in tests):
                missing.append(f"{page}: no test is called {name}")
    print("\n".join([*missing, f"{checked} names checked against {len(tests)} tests"]))
    return 1 if missing or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
