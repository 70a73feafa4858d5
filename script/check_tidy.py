#!/usr/bin/env python3
"""Runs clang-tidy on every source below src/ but the unit tests, as build/release compiles it, and exits with 1 when it
finds something. A file that was clean is not checked again until it, a header of ours that it includes, its compile
command, .clang-tidy or clang-tidy itself changes; build/tidy remembers.
"""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "release"
STAMPS = ROOT / "build" / "tidy"
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


def check(source):
    """clang-tidy's findings; empty when there are none."""
    command = [CLANG_TIDY, "--quiet", "-p", str(BUILD), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    return "" if done.returncode == 0 else (done.stdout or done.stderr).replace(f"{ROOT}/", "")


def main():
    common = output_of(CLANG_TIDY, "--version").encode() + (ROOT / ".clang-tidy").read_bytes()
    dependencies = known_dependencies()
    STAMPS.mkdir(parents=True, exist_ok=True)

    to_check = []
    unchanged = 0
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        source = Path(entry["directory"], entry["file"]).resolve()
        if not source.is_relative_to(ROOT / "src") or source.stem.endswith("_test"):
            continue
        words = shlex.split(entry["command"])
        key = key_of(entry, source, dependencies.get(words[words.index("-o") + 1]), common)
        stamp = STAMPS / source.relative_to(ROOT).as_posix().replace("/", "__")
        if key and stamp.exists() and stamp.read_text() == key:
            unchanged += 1
        else:
            to_check.append((source, stamp, key))

    faulty = 0
    with ThreadPoolExecutor(int(output_of(str(ROOT / "script" / "jobs"), "1024"))) as pool:
        findings = pool.map(lambda item: check(item[0]), to_check)
        for (_source, stamp, key), found in zip(to_check, findings):
            stamp.unlink(missing_ok=True)
            if found:
                faulty += 1
                print(found, flush=True)
            elif key:
                stamp.write_text(key)
    print(f"check_tidy: {len(to_check)} files checked, {unchanged} unchanged, {faulty} with findings")
    return 1 if faulty else 0


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    sys.exit(main())
