#!/usr/bin/env python3
"""Shows that script/check_sources.py finds every violation that it is there for, where it is, and nothing else."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2] / "script"
sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPTS))
import check_sources  # noqa: E402


class CheckerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("src/base/clock.h", "#pragma once\n")
        self.write("src/store/lease_store.h", "#pragma once\n")
        self.write("src/store/memory/memory_store.h", "#pragma once\n")

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def violations(self):
        return [f"{path}:{line}: {message}" for path, line, message in check_sources.violations_in(self.root)]

    def assert_found(self, path, line, part, text):
        """Planting `text` gives exactly one violation, at that line, with `part` in its message."""
        self.write(path, text)
        found = self.violations()
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith(f"{path}:{line}: "), found[0])
        self.assertIn(part, found[0])
        (self.root / path).unlink()

    def assert_clean(self, path, text):
        self.write(path, text)
        self.assertEqual(self.violations(), [])
        (self.root / path).unlink()


class Layers(CheckerTest):
    def test_what_the_table_allows_is_clean(self):
        self.assert_clean("src/store/memory/a.cpp", '#include "store/lease_store.h"\n#include "base/clock.h"\n')
        self.write("src/store/fencing_token.h", "#pragma once\n")
        self.assert_clean("src/lock/a.cpp", '#include "store/fencing_token.h"\n#include "store/lease_store.h"\n')
        self.assert_clean("src/app/a.cpp", '#include "store/memory/memory_store.h"\n')
        self.assert_clean("src/base/a.cpp", "#include <map>\n#include <boost/asio/ip/tcp.hpp>\n")

    def test_what_the_table_forbids_is_found(self):
        for layer, header in (
            ("base", "store/lease_store.h"),
            ("base", "telemetry/latency.h"),
            ("store", "lock/rules.h"),
            ("store", "telemetry/latency.h"),
            ("queue", "lock/types.h"),
            ("lock", "lease/lease_service.h"),
            ("lease", "lock/types.h"),
            ("lock", "store/memory/memory_store.h"),
            ("http", "store/lease_store.h"),
            ("http", "auth/jwt.h"),
            ("config", "http/server.h"),
            ("auth", "config/settings.h"),
            ("api", "config/settings.h"),
            ("api", "store/lease_store.h"),
            ("client", "http/message.h"),
            ("cli", "app/app.h"),
            ("lock", "sharedlock/lock.h"),
        ):
            with self.subTest(layer=layer, header=header):
                text = f'#include "base/clock.h"\n\n#include "{header}"\n'
                self.assert_found(f"src/{layer}/a.cpp", 3, f"{layer} may not include {header}", text)
                self.assert_found(f"src/{layer}/a.cpp", 3, "may not include", text.replace(f'"{header}"', f"<{header}>"))

    def test_unit_tests_run_on_real_stores_and_those_of_the_queue_with_what_waits(self):
        self.write("src/lock/rules.h", "#pragma once\n")
        self.assert_clean("src/queue/a_test.cpp", '#include "lock/rules.h"\n#include "store/memory/memory_store.h"\n')
        text = '#include "store/memory/memory_store.h"\n'
        self.assert_clean("src/lock/a_test.cpp", text)
        self.assert_clean("src/api/a_test.cpp", text)
        self.assert_found("src/http/a_test.cpp", 1, "http may not include", text)

    def test_stores_never_include_each_other_and_the_interface_none_of_them(self):
        self.write("src/store/embedded/journal.h", "#pragma once\n")
        self.write("src/store/etcd/rpc/client.h", "#pragma once\n")
        for path, layer, header in (
            ("src/store/etcd/a.cpp", "store/etcd", "store/embedded/journal.h"),
            ("src/store/etcd/lease/a.cpp", "store/etcd", "store/embedded/journal.h"),
            ("src/store/etcd/lease/a.cpp", "store/etcd", "store/memory/memory_store.h"),
            ("src/store/etcd/a_test.cpp", "store/etcd", "store/embedded/journal.h"),
            ("src/store/embedded/a.cpp", "store/embedded", "store/etcd/rpc/client.h"),
            ("src/store/embedded/a.cpp", "store/embedded", "store/memory/memory_store.h"),
            ("src/store/memory/a.cpp", "store/memory", "store/embedded/journal.h"),
            ("src/store/memory/a.cpp", "store/memory", "store/etcd/rpc/client.h"),
            ("src/store/table/a.cpp", "store/table", "store/memory/memory_store.h"),
            ("src/store/a.cpp", "store", "store/etcd/rpc/client.h"),
            ("src/store/a.cpp", "store", "store/memory/memory_store.h"),
        ):
            with self.subTest(path=path, header=header):
                self.assert_found(path, 1, f"{layer} may not include {header}", f'#include "{header}"\n')
        self.assert_clean("src/store/etcd/lease/a.cpp", '#include "store/etcd/rpc/client.h"\n')
        self.assert_clean("src/store/etcd/lease/a_test.cpp", '#include "store/memory/memory_store.h"\n')
        self.assert_clean("src/app/a.cpp", '#include "store/embedded/journal.h"\n#include "store/etcd/rpc/client.h"\n')

    def test_installed_headers_use_nothing_of_the_servers(self):
        text = '#pragma once\n#include "base/clock.h"\n'
        self.assert_found("include/sharedlock/lock.h", 2, "sharedlock may not include base/clock.h", text)

    def test_includes_are_full_paths_of_files_that_exist(self):
        self.assert_found("src/base/a.cpp", 1, "not a full path", '#include "clock.h"\n')
        self.assert_found("src/base/a.cpp", 1, "does not exist", '#include "base/gone.h"\n')

    def test_only_tests_include_what_tests_share(self):
        self.write("tests/support/store_printers.h", "#pragma once\n")
        text = '#include "support/store_printers.h"\n'
        self.assert_clean("src/store/a_test.cpp", text)
        self.assert_found("src/store/a.cpp", 1, "not a full path", text)

    def test_a_folder_outside_the_table_is_found(self):
        self.assert_found("src/misc/a.cpp", 1, "the folder misc is not in the layer table", "\n")
        self.assert_found("src/store/disk/a.cpp", 1, "the folder store/disk is not in the layer table", "\n")

    def test_an_include_in_a_comment_or_a_string_does_not_count(self):
        self.assert_clean("src/base/a.cpp", '// #include "lock/a.h"\n/*\n#include "lock/a.h"\n*/\n'
                                            'auto a = R"(\n#include "lock/a.h"\n)";\n')


class Libraries(CheckerTest):
    def test_each_library_is_found_outside_its_place(self):
        for path, header in (
            ("src/store/a.cpp", "rocksdb/db.h"),
            ("src/store/embedded/a.h", "rocksdb/db.h"),
            ("src/store/etcd/a.cpp", "rocksdb/db.h"),
            ("src/lock/a.cpp", "grpcpp/grpcpp.h"),
            ("src/store/a.cpp", "etcd.pb.h"),
            ("src/store/etcd/a.h", "etcd.pb.h"),
            ("src/store/embedded/a.cpp", "grpcpp/grpcpp.h"),
            ("src/http/a.h", "boost/beast/http.hpp"),
            ("src/api/a.cpp", "boost/beast/core.hpp"),
            ("src/base/random.cpp", "openssl/rand.h"),
            ("src/store/a.cpp", "openssl/evp.h"),
            ("src/http/a.cpp", "spdlog/spdlog.h"),
            ("src/base/log.h", "spdlog/spdlog.h"),
            ("src/http/a.cpp", "prometheus/counter.h"),
            ("src/api/metrics.h", "prometheus/counter.h"),
            ("src/store/a.cpp", "boost/json.hpp"),
            ("src/config/a.cpp", "CLI/CLI.hpp"),
            ("src/cli/a.cpp", "CLI/CLI.hpp"),
            ("src/cli/flags.h", "CLI/CLI.hpp"),
            ("src/app/main.cpp", "CLI/CLI.hpp"),
            ("tests/a.cpp", "rocksdb/db.h"),
        ):
            with self.subTest(path=path, header=header):
                self.assert_found(path, 2, "headers do not belong here", f"#pragma once\n#include <{header}>\n")

    def test_each_library_is_clean_in_its_place(self):
        for path, header in (
            ("src/store/embedded/a.cpp", "rocksdb/db.h"),
            ("src/store/etcd/a.cpp", "etcd.grpc.pb.h"),
            ("src/store/etcd/rpc/a.cpp", "etcd.grpc.pb.h"),
            ("src/store/etcd/rpc/a_grpc.h", "etcd.grpc.pb.h"),
            ("src/http/a.cpp", "boost/beast/http.hpp"),
            ("src/client/a.cpp", "boost/beast/http.hpp"),
            ("src/base/sha256.cpp", "openssl/evp.h"),
            ("src/auth/a.cpp", "openssl/evp.h"),
            ("src/base/log.cpp", "spdlog/spdlog.h"),
            ("src/telemetry/metrics_text.cpp", "prometheus/counter.h"),
            ("src/lock/a.h", "boost/json/value.hpp"),
            ("src/cli/flags.cpp", "CLI/CLI.hpp"),
        ):
            with self.subTest(path=path, header=header):
                self.assert_clean(path, f"#pragma once\n#include <{header}>\n")

    def test_an_eleventh_file_with_beast_is_found(self):
        for i in range(10):
            self.write(f"src/http/a{i}.cpp", "#include <boost/beast/http.hpp>\n")
        self.assertEqual(self.violations(), [])
        self.assert_found("src/http/b.cpp", 1, "11 files include Beast", "#include <boost/beast/core.hpp>\n")


class Files(CheckerTest):
    def test_length(self):
        self.assert_clean("src/base/a.cpp", "\n" * 400)
        self.assert_found("src/base/a.cpp", 401, "401 lines; 400 are allowed", "\n" * 401)
        for path in ("src/base/a_test.cpp", "tests/a.cpp", "tests/a.h", "bench/a.cpp", "script/a.py", "tests/a.py"):
            self.assert_found(path, 401, "401 lines; 400 are allowed", "#pragma once\n" + "\n" * 400)
        self.assert_found("script/a", 401, "400 are allowed", "#!/usr/bin/env python3\n" + "\n" * 400)
        self.assert_clean("script/a.py", "\n" * 400)
        for path in ("docs/a.md", "script/a.sh", "tests/fuzz/corpus/a"):
            self.assert_clean(path, "\n" * 401)

    def test_pragma_once_comes_first(self):
        self.assert_clean("src/base/a.h", "// What this is.\n#pragma once\n")
        self.assert_found("src/base/a.h", 1, "#pragma once", "#include <map>\n#pragma once\n")
        self.assert_found("src/base/a.h", 1, "#pragma once", "// #pragma once\n")

    def test_names_that_say_nothing(self):
        for path in ("src/base/util.cpp", "src/lock/lock_manager.cpp", "docs/api_v2.md", "src/base/new_clock.cpp",
                     "tests/common/a.cpp", "script/old"):
            with self.subTest(path=path):
                self.assert_found(path, 1, "in a file name", "\n")
        self.assert_clean("src/base/threshold.cpp", "\n")
        self.assert_clean("src/base/newest.cpp", "\n")

    def test_unfinished_work(self):
        for word in ("TODO", "FIXME", "XXX"):
            self.assert_found("docs/a.md", 2, word, f"text\n{word}: later\n")
        self.assert_clean("script/a", "mktemp -d /tmp/a.XXXXXX\n")

    def test_what_a_fuzzer_left_behind(self):
        for path in ("crash-f83", "leak-1", "timeout-1", "oom-1", "slow-unit-1"):
            self.assert_found(path, 1, "fuzzer", "\0")
        self.assert_clean("tests/crash/crash_test.cpp", "int a;\n")

    def test_paths_of_one_machine(self):
        self.assert_found("docs/a.md", 1, "path of one machine", "see /" + "Users/me\n")
        self.assert_found("CMakeLists.txt", 2, "path of one machine", '\nset(A "/' + 'home/me")\n')
        self.assert_clean("docs/a.md", "docs/home/a and https://example.com/home/\n")


class Comments(CheckerTest):
    def test_a_word_for_persons_is_found_in_each_kind_of_file(self):
        for path, line, text in (
            ("src/base/a.cpp", 2, "int a;\n// Whoever asks.\n"),
            ("src/base/a.cpp", 1, "int a;  // whose\n"),
            ("include/sharedlock/a.h", 4, "#pragma once\n/* A request,\n * and its caller,\n * who waits. */\n"),
            ("tests/a.cpp", 1, "int a = 1'000;  // who's next\n"),
            ("example/a.cpp", 1, "// The client and his lock.\n"),
            ("src/base/CMakeLists.txt", 2, 'set(a "#")\nset(b c) # for whom\n'),
            ("cmake/a.cmake", 3, "#[[ A\nblock\nfor him ]]\n"),
            ("script/a.py", 2, "a = '#'\nb = 1  # he\n"),
            ("script/a.py", 3, 'def a():\n    """A docstring,\n    for whoever reads it."""\n'),
            ("script/a", 2, "#!/usr/bin/env python3\n# whom\n"),
            ("script/a.sh", 1, "echo \"${a#b}\" '#' $# \\# # who\n"),
            ("script/a", 5, "#!/bin/sh\ncat << 'END'\ndon't\nEND\n# whose\n"),
        ):
            with self.subTest(path=path, text=text):
                self.assert_found(path, line, "in a comment: speak of things", text)

    def test_strings_code_and_links_are_no_prose(self):
        for path, text in (
            ("src/base/a.cpp", 'auto who = "// who";\nauto a = R"(\n// whose\n/* him */)";\nchar b = \'"\';  // "\n'),
            ("src/base/a.cpp", "// See https://www.who.int/he and `who`; the thesis of each.\n"),
            ("src/base/CMakeLists.txt", 'set(who "# who")\nset(a [[\n# him\n]])\n'),
            ("script/a.py", "who = '# who'\na = [\n    '''\n# his\n''']\nprint('whose')\n"),
            ("script/a.sh", "who | grep '# he'\necho \"\n# him\n\"\ncat << END\n# his\nEND\necho a#who\n"),
            ("docs/a.md", "# Who\n"),
        ):
            with self.subTest(path=path, text=text):
                self.assert_clean(path, text)


class CoAwait(CheckerTest):
    def test_a_brace_before_the_semicolon_is_found(self):
        for line, text in (
            (1, "co_await f(Options{.wait = true});\n"),
            (1, "co_await f({1, 2});\n"),
            (2, "auto result = co_await f(a,\n                         {.b = 1});\n"),
            (1, "co_await f([x] { return x; });\n"),
            (1, "if (co_await f({1})) {\n}\n"),
            (1, "if (x && g(co_await f(), T{})) {\n}\n"),
            (1, "call(co_await f(), T{});\n"),
            (3, "co_await f(  // why;\n    'c', \";\",\n    {});\n"),
            (1, "co_await f(1'000, {}, 1'000);\n"),
            (1, "co_await f(u8'\"', {});  // \"\n"),
            (3, 'co_await f(R"x(;)"\n;)x",\n{});\n'),
        ):
            with self.subTest(text=text):
                self.assert_found("src/base/a.cpp", line, "{ between co_await and ;", text)

    def test_braces_elsewhere_are_clean(self):
        for text in (
            "Options options{.wait = true};\nco_await f(std::move(options));\n",
            "auto task = []() -> Task<void> { co_await f(); }();\n",
            "if (co_await f(x)) {\n  g();\n}\n",
            "while ((co_await f(x)).has_value()) {\n}\n",
            "if (auto r = co_await f(x); r) {\n}\n",
            "switch (co_await f(x)) {\n}\n",
            "co_return Reply{co_await f(x)};\n",
            "// co_await f({});\n/* co_await f({}); */\n",
            'auto s = "co_await f({});";\nauto r = R"(co_await f({});)";\n',
            "co_await f('{', \"{\", /* { */ R\"({)\", '\\'', '{');  // {\n",
            "auto operator co_await() { return waiter_; }\n",
        ):
            with self.subTest(text=text):
                self.assert_clean("src/base/a.cpp", text)


class BannedCode(CheckerTest):
    def test_detached(self):
        self.assert_found("src/base/a.cpp", 1, "nothing is detached", "co_spawn(e, f(), asio::detached);\n")
        self.assert_found("src/base/a.cpp", 1, "nothing is detached", "thread.detach();\n")
        self.assert_found("src/base/a.cpp", 1, "nothing is detached", "#include <boost/asio/detached.hpp>\n")
        self.assert_clean("src/base/a.cpp", "// Nothing is detached here.\n")
        self.assert_clean("src/client/lookup.cpp", "thread.detach();\n")

    def test_sleeps_in_tests(self):
        text = "std::this_thread::sleep_for(1s);"
        self.assert_found("src/base/a_test.cpp", 1, "a test does not sleep", text + "\n")
        self.assert_found("tests/a.cpp", 1, "a test does not sleep", "usleep(1);  // real time:\n")
        self.assert_found("tests/a.py", 1, "a test does not sleep", "time.sleep(1)\n")
        self.assert_clean("tests/a.cpp", text + "  // real time: the kernel's timer is what is tested\n")
        self.assert_clean("tests/a.py", "time.sleep(1)  # real time: polls a server\n")
        self.assert_clean("src/base/a.cpp", text + "\n")


class TheRun(CheckerTest):
    def run_checker(self, *arguments):
        command = [sys.executable, str(SCRIPTS / "check_sources.py"), "--root", str(self.root), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    def test_reports_every_file_and_every_line_and_exits_with_1(self):
        self.write("src/base/a.cpp", '#include "lock/a.h"\n#include "api/a.h"\n')
        self.write("src/store/b.cpp", "#include <boost/json.hpp>\n")
        done = self.run_checker()
        places = [line.split(": ")[0] for line in done.stdout.splitlines()]
        self.assertEqual(places, ["src/base/a.cpp:1", "src/base/a.cpp:2", "src/store/b.cpp:1", "check_sources"])
        self.assertEqual((done.returncode, done.stderr), (1, ""))

    def test_exits_with_0_when_all_is_clean(self):
        done = self.run_checker()
        self.assertEqual(done.stdout, "check_sources: 3 files, 0 violations\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_in_a_repository_ignored_files_do_not_count_and_untracked_ones_do(self):
        subprocess.run(["git", "init", "--quiet", str(self.root)], check=True)
        self.write(".gitignore", "/build/\n")
        self.write("build/a.cpp", "// TODO\n")
        self.assertEqual(self.violations(), [])
        self.assert_found("src/base/a.cpp", 1, "TODO", "// TODO\n")

    def test_lists_the_cpp_files(self):
        self.write("bench/a.cpp", "\n")
        self.write("example/a.cpp", "\n")
        self.write("src/base/CMakeLists.txt", "\n")
        listed = self.run_checker("--list").stdout.split()
        stores = ["src/store/lease_store.h", "src/store/memory/memory_store.h"]
        self.assertEqual(listed, ["bench/a.cpp", "src/base/clock.h", *stores])


if __name__ == "__main__":
    unittest.main(verbosity=2)
