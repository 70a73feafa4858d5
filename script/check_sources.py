#!/usr/bin/env python3
"""Checks the sources against the conventions that a compiler does not know: which folder may include what, sizes,
names, constructs and words that are banned. Prints `file:line: message` for each violation and then exits with 1.

Usage: check_sources.py [--root DIR] [--list]
  --root DIR   the tree to check, by default the checkout that this script is in
  --list       check nothing; print the C++ files, as clang-format wants them
"""

import argparse
import fnmatch
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath

sys.dont_write_bytecode = True  # the folder of scripts has none
from source_text import CPP_SUFFIXES, blank, blank_out_all_but_code, comments_in, is_python, line_of  # noqa: E402

# --- the rules -------------------------------------------------------------------------------------------------------

# The layer table of docs/architecture.md: what each folder below src/ may include of ours. A folder with subfolders in the
# table, such as `store`, stands for its own files only; any other one for everything below it. A name that is no folder
# is one header. Every folder may include itself.
LAYERS = {
    "base": (),
    "telemetry": ("base",),
    "store": ("base",),
    "store/table": ("base", "store"),
    "store/memory": ("base", "store", "store/table"),
    "store/embedded": ("base", "store", "store/table"),
    "store/etcd": ("base", "store"),
    "queue": ("base", "store/lease_store.h"),
    "lock": ("base", "queue", "store/fencing_token.h", "store/grants.h", "store/lease_store.h"),
    "lease": ("base", "queue", "store/fencing_token.h", "store/grants.h", "store/lease_store.h"),
    "auth": ("base",),
    "http": ("base", "telemetry"),
    "config": ("base",),
    "api": ("base", "telemetry", "queue/types.h", "lock", "lease", "auth", "http"),
    "sharedlock": (),  # include/sharedlock, the installed headers
    "client": ("base", "sharedlock"),
    "cli": ("base", "sharedlock", "client"),
    "load": ("base",),
    "app": ("base", "telemetry", "store", "store/table", "store/memory", "store/embedded", "store/etcd", "queue",
            "lock", "lease", "auth", "http", "config", "api", "client", "cli", "sharedlock", "load"),
}
# What a folder's unit tests may include besides: they run on the store in memory, those of the queue under its users.
TESTED_WITH = {
    "store/etcd": ("store/memory",),
    "queue": ("store/memory", "lock", "lease"),
    "lock": ("store/memory",),
    "lease": ("store/memory",),
    "api": ("store/memory",),
}

# Which files may include a library: (name, how its headers begin or end, the files that may).
LIBRARIES = (
    ("RocksDB", ("rocksdb/",), ("src/store/embedded/*.cpp",)),
    # Headers named *_grpc.h are shared only by the .cpp files of the etcd store: no other header may include them.
    ("gRPC", ("grpc/", "grpcpp/", "google/protobuf/", ".pb.h", "_grpc.h"),
     ("src/store/etcd/*.cpp", "src/store/etcd/*_grpc.h", "bench/etcd_driver.cpp", "bench/peers_driver.cpp")),
    ("Beast", ("boost/beast",), ("src/http/*.cpp", "src/client/*.cpp")),
    ("OpenSSL", ("openssl/", "boost/asio/ssl"),
     ("src/base/sha256.cpp", "src/auth/*", "src/http/*", "src/client/*", "src/cli/*", "src/app/*", "tests/*")),
    ("spdlog", ("spdlog/",), ("src/base/log.cpp",)),
    ("prometheus-cpp", ("prometheus/",), ("src/telemetry/metrics_text.cpp",)),
    ("gperftools", ("gperftools/",), ("src/telemetry/profiler.cpp",)),
    ("Boost.JSON", ("boost/json",),
     ("src/base/*", "src/queue/*", "src/lock/*", "src/auth/*", "src/http/*", "src/config/*", "src/api/*",
      "src/client/*", "src/cli/*", "src/app/*", "src/load/*_test.cpp", "tests/*", "bench/*")),
    ("CLI11", ("CLI/",), ("src/cli/flags.cpp",)),
)
MAX_BEAST_FILES = 10  # one costs 10 s to compile, 32 s and 1.1 GB with sanitizers

MAX_LINES = 400  # of a source in C++ or Python, tests too

MAY_DETACH = {
    "src/client/lookup.cpp": "getaddrinfo(3) can't be cancelled, and no end of a client may wait for it",
}

BANNED_NAME_WORDS = {"util", "utils", "common", "manager", "new", "old"}
# A comment speaks of things: requests, callers, servers, entries.
WORDS_OF_PERSONS = r"(?i)\b(?:who|whoever|whom|whomever|whose|he|his|him)\b"
CPP_FOLDERS = ("src/", "tests/", "include/", "bench/")
# The checker and its tests.
HOLDS_WHAT_IS_BANNED = ("script/check_sources.py", "tests/check/")

# --- reading files ---------------------------------------------------------------------------------------------------

INCLUDE = re.compile(r"""^[ \t]*\#[ \t]*include[ \t]*(?:"(?P<ours>[^"\n]+)"|<(?P<theirs>[^>\n]+)>)""", re.MULTILINE)
CONTROL = re.compile(r"\b(?:if|while|switch|for)\s*(?:constexpr\s*)?$")


class Source:
    """One file: its path below the root, with slashes; its text; and its code alone."""

    def __init__(self, root, path):
        self.root = root
        self.path = path
        self.text = (root / path).read_text(encoding="utf-8", errors="replace")
        folder, _, rest = path.partition("/")
        self.below = rest if folder in ("src", "include") else None  # its path in #include directives
        self.is_cpp = is_cpp(path)
        self.is_test = folder == "tests" or PurePosixPath(path).stem.endswith("_test")
        self.code = blank_out_all_but_code(self.text) if self.is_cpp else ""

    def includes(self):
        """(line number, header, True for "" and False for <>) of each directive that is not commented out."""
        for match in INCLUDE.finditer(self.text):
            if "#" in self.code[match.start() : match.end()]:
                line = line_of(self.text, match.start(match.lastgroup))
                yield line, match.group(match.lastgroup), match.lastgroup == "ours"


def words(pattern, text):
    """(line number, word) of each match."""
    for match in re.finditer(pattern, text):
        yield line_of(text, match.start()), match.group()


def is_cpp(path):
    return path.startswith(CPP_FOLDERS) and path.endswith(CPP_SUFFIXES)


# --- the checks: each yields (line number, message) -------------------------------------------------------------------


def layer_of(path):
    """The row of the layer table that a path below src/ belongs to; None where there is none."""
    folder = PurePosixPath(path).parent
    layer = next((name.as_posix() for name in (folder, *folder.parents) if name.as_posix() in LAYERS), None)
    has_subfolders = any(name.startswith(f"{layer}/") for name in LAYERS)
    return None if has_subfolders and folder.as_posix() != layer else layer


def check_layers(source):
    if source.below is None:
        return
    layer = layer_of(source.below)
    if layer is None:
        folder = PurePosixPath(source.below).parent
        yield 1, f"the folder {folder} is not in the layer table of script/check_sources.py"
        return
    allowed = {layer, *LAYERS[layer]}
    if source.is_test:
        allowed.update(TESTED_WITH.get(layer, ()))
    for line, header, quoted in source.includes():
        its_layer = layer_of(header)
        if its_layer is not None:
            if its_layer not in allowed and header not in allowed:
                yield line, f"{layer} may not include {header}"
            elif not any((source.root / folder / header).is_file() for folder in ("src", "include")):
                yield line, f"{header} does not exist"
        elif source.is_test and (source.root / "tests" / header).is_file():
            pass  # shared by tests
        elif quoted and not header.endswith(".pb.h"):
            yield line, f'"{header}" is not a full path from src/'


def check_libraries(source):
    for line, header, _quoted in source.includes():
        for name, marks, globs in LIBRARIES:
            if header.startswith(marks) or header.endswith(marks):
                if not any(fnmatch.fnmatch(source.path, glob) for glob in globs):
                    yield line, f"{name} headers do not belong here, only in {' '.join(globs)}"


def check_size(source):
    lines = source.text.count("\n")
    if lines > MAX_LINES and (source.is_cpp or is_python(source.path, source.text)):
        yield MAX_LINES + 1, f"{lines} lines; {MAX_LINES} are allowed: one file, one subject"


def check_pragma_once(source):
    if source.path.endswith(".h") and not source.code.lstrip().startswith("#pragma once"):
        yield 1, "a header begins with #pragma once"


def check_brace_after_co_await(source):
    """g++ 12 destroys an aggregate temporary inside a co_await expression twice."""
    code = source.code
    for match in re.finditer(r"(?<!operator )\bco_await\b", code):
        depth = 0
        for position in range(match.end(), len(code)):
            char = code[position]
            if char == ";":
                break
            if char == "{":
                yield line_of(code, position), "a { between co_await and ; (g++ 12 destroys temporaries twice): name it"
                break
            depth += (char == "(") - (char == ")")
            if depth < 0 and char == ")" and ends_condition(code, position):
                break


def ends_condition(code, closing):
    """True when the parenthesis at `closing` is the second of `if (…)`, or of while, switch, for."""
    depth = 0
    for position in range(closing, -1, -1):
        depth += (code[position] == ")") - (code[position] == "(")
        if depth == 0:
            return CONTROL.search(code[max(0, position - 20) : position]) is not None
    return False


def check_banned_code(source):
    if source.path in MAY_DETACH:
        return
    for line, word in words(r"\bdetached\b|\.detach\(\)", source.code):
        yield line, f"{word}: nothing is detached; a TaskGroup spawns and joins"


def check_sleeps(source):
    if not source.is_test or source.path.startswith(HOLDS_WHAT_IS_BANNED):
        return
    if source.is_cpp:
        found = words(r"\b(?:sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\(", source.code)
    elif source.path.endswith(".py"):
        found = words(r"\bsleep\(", source.text)
    else:
        return
    lines = source.text.split("\n")
    for line, word in found:
        if not re.search(r"(//|#) real time: \S", lines[line - 1]):
            yield line, f"{word.rstrip('( ')}: a test does not sleep, or says why it must: `// real time: why`"


def check_file_name(source):
    for part in PurePosixPath(source.path).parts:
        in_name = set(re.split(r"[^a-z0-9]+", part.lower()))
        for word in sorted(in_name & BANNED_NAME_WORDS):
            yield 1, f"'{word}' in a file name says nothing about the subject"
        if "v2" in part.lower():
            yield 1, "'v2' in a file name: history is git's business"


def check_words(source):
    if source.path.startswith(HOLDS_WHAT_IS_BANNED):
        return
    for line, word in words(r"\b(?:TODO|FIXME|XXX)\b", source.text):
        yield line, f"{word}: finish it, or make it an issue"
    for line, word in words(r"(?<![\w.-])/(?:home|Users)/", source.text):
        yield line, f"{word} is a path of one machine"


def check_comments(source):
    """Comment text alone, without URLs and quoted code."""
    if source.path.startswith(HOLDS_WHAT_IS_BANNED):
        return
    for begin, comment in comments_in(source.path, source.text):
        prose = re.sub(r"\w+://\S+|`[^`]*`", blank, comment)
        for line, word in words(WORDS_OF_PERSONS, prose):
            yield begin + line - 1, (
                f"'{word}' in a comment: speak of things (the request, its caller, the holder) instead of persons, "
                "with that, which or its"
            )


CPP_CHECKS = (
    check_layers,
    check_libraries,
    check_pragma_once,
    check_brace_after_co_await,
    check_banned_code,
)
FILE_CHECKS = (check_size, check_file_name, check_words, check_comments, check_sleeps)

# --- the run ---------------------------------------------------------------------------------------------------------


def files_of(root):
    """What is, or could be, in the repository: tracked files, and new ones that are not ignored."""
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
        paths = {path for path in listed if path}
    else:
        paths = {path.relative_to(root).as_posix() for path in root.rglob("*")}
        paths = {path for path in paths if not path.startswith(("build/", "data/"))}
    return sorted(path for path in paths if (root / path).is_file() and not (root / path).is_symlink())


def is_text(path):
    with path.open("rb") as file:
        return b"\0" not in file.read(4096)


def left_behind_in(root):
    """What libFuzzer writes into the folder that it is started from."""
    for path in files_of(root):
        if re.match(r"(?:crash|leak|timeout|oom|slow-unit)-", path):
            yield path, 1, "left behind by a fuzzer: move it to tests/fuzz/corpus under a name, or delete it"


def violations_in(root):
    yield from left_behind_in(root)
    sources = [Source(root, path) for path in files_of(root) if is_text(root / path)]
    for source in sources:
        for check in FILE_CHECKS + (CPP_CHECKS if source.is_cpp else ()):
            for line, message in check(source):
                yield source.path, line, message

    beast = [s.path for s in sources if s.is_cpp and any(h.startswith("boost/beast") for _, h, _ in s.includes())]
    if len(beast) > MAX_BEAST_FILES:
        yield beast[-1], 1, f"{len(beast)} files include Beast; {MAX_BEAST_FILES} are allowed: {' '.join(beast)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--list", action="store_true", help="print the C++ files and check nothing")
    arguments = parser.parse_args()
    root = arguments.root.resolve()

    if arguments.list:
        print("\n".join(path for path in files_of(root) if is_cpp(path)))
        return 0
    found = 0
    for path, line, message in violations_in(root):
        print(f"{path}:{line}: {message}")
        found += 1
    print(f"check_sources: {len(files_of(root))} files, {found} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
