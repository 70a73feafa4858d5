#!/usr/bin/env python3
"""Runs clang-tidy on every source below src/ but the unit tests, as build/release compiles it, and exits with 1 when it
finds something. A file that was clean is not checked again until it, a header of ours that it includes, its compile
command, .clang-tidy or clang-tidy itself changes; build/tidy remembers.
"""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"
STAMPS = ROOT / "build" / "tidy"
UNITS = STAMPS / "units"
UNIT = 8  # sources checked at once
CLANG_TIDY = "clang-tidy-19"


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def known_dependencies():
    """Object file -> the files of ours that it was compiled from, as ninja noted at the last build."""
    dependencies = {}
    for line in output_of("ninja", "-C", str(BUILD), "-t", "deps").splitlines():
        if not line.startswith(" "):
            current = dependencies.setdefault(line.partition(":")[0], [])
        elif (file := (BUILD / line.strip()).resolve()).is_relative_to(ROOT):
            current.append(file)
    return dependencies


def key_of(entry, source, dependencies, common):
    """What the result for this source depends on; None when its headers are not known."""
    if not dependencies:
        return None
    key = hashlib.sha256(common + entry["command"].encode())
    for file in sorted({source, *dependencies}):
        key.update(str(file).encode() + b"\0" + (file.read_bytes() if file.exists() else b"gone"))
    return key.hexdigest()


def units_of(entries):
    """The sources in units that are checked at once: those of one target, but for what has to be compiled apart."""
    apart = set((BUILD / "compiled_apart.txt").read_text().splitlines())
    alone = [[entry] for entry in entries if entry["file"] in apart]
    by_target = {}
    for entry in entries:
        if entry["file"] not in apart:
            by_target.setdefault(object_of(entry).partition(".dir/")[0], []).append(entry)
    together = [same[at : at + UNIT] for same in by_target.values() for at in range(0, len(same), UNIT)]
    return alone + together


def object_of(entry):
    words = shlex.split(entry["command"])
    return words[words.index("-o") + 1]


def write_units(units):
    """A source that includes those of a unit, and how it is compiled; returns the sources."""
    shutil.rmtree(UNITS, ignore_errors=True)
    UNITS.mkdir(parents=True)
    sources = [UNITS / f"unit_{number}.cpp" for number in range(len(units))]
    commands = []
    for source, unit in zip(sources, units):
        source.write_text("".join(f'#include "{entry["file"]}"  // NOLINT\n' for entry in unit))
        command = unit[0]["command"].replace(unit[0]["file"], str(source))
        commands.append({"directory": unit[0]["directory"], "command": command, "file": str(source)})
    (UNITS / "compile_commands.json").write_text(json.dumps(commands))
    return sources


def check(source):
    """clang-tidy's findings; empty when there are none."""
    command = [CLANG_TIDY, "--quiet", "-p", str(UNITS), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return "" if done.returncode == 0 else (done.stdout or done.stderr).replace(f"{ROOT}/", "")


def main():
    common = output_of(CLANG_TIDY, "--version").encode() + (ROOT / ".clang-tidy").read_bytes()
    dependencies = known_dependencies()
    STAMPS.mkdir(parents=True, exist_ok=True)

    to_check = []
    stamps = {}
    unchanged = 0
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        source = Path(entry["directory"], entry["file"]).resolve()
        if not source.is_relative_to(ROOT / "src") or source.stem.endswith("_test"):
            continue
        key = key_of(entry, source, dependencies.get(object_of(entry)), common)
        stamp = STAMPS / source.relative_to(ROOT).as_posix().replace("/", "__")
        if key and stamp.exists() and stamp.read_text() == key:
            unchanged += 1
        else:
            to_check.append(entry)
            stamps[entry["file"]] = (stamp, key)

    faulty = 0
    units = units_of(to_check)
    with ThreadPoolExecutor(int(output_of(str(ROOT / "script" / "jobs"), "1024"))) as pool:
        for unit, found in zip(units, pool.map(check, write_units(units))):
            if found:
                faulty += 1
                print(found, flush=True)
            for stamp, key in (stamps[entry["file"]] for entry in unit):
                stamp.unlink(missing_ok=True)
                if key and not found:
                    stamp.write_text(key)
    print(f"check_tidy: {len(to_check)} files checked, {unchanged} unchanged, {faulty} units with findings")
    return 1 if faulty else 0


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    sys.exit(main())
