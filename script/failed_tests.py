#!/usr/bin/env python3
"""Says of a JUnit report of CTest how many tests it has and which did not pass, with the end of what those printed.

Usage: script/failed_tests.py REPORT
Prints the number of tests on the first line, the number of those that did not pass on the second, and then what is to
be read. A test that was skipped, disabled or could not run did not pass.
"""

import sys
import xml.etree.ElementTree

LINES_OF_EACH = 40


def main(report: str) -> None:
    cases = xml.etree.ElementTree.parse(report).getroot().findall("testcase")
    bad = [case for case in cases if case.get("status") != "run"]
    print(len(cases))
    print(len(bad))
    for case in bad:
        print(f"--- {case.get('name')} ({case.get('status')}, {float(case.get('time', 0)):.1f} s)")
        output = (case.findtext("system-out") or "").splitlines()
        print("\n".join(output[-LINES_OF_EACH:]))


if __name__ == "__main__":
    main(*sys.argv[1:])
