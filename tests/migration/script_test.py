#!/usr/bin/env python3
"""script/migration, without the services that it is for: what it says of what it is given, with a server of ours in the
place of an original, and whether it would see two holders.

Usage: script_test.py PROGRAM [ARGUMENTS OF UNITTEST…]
"""

import contextlib
import http.server
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(HERE)]
sys.dont_write_bytecode = True

from against_ours import run_its_load  # noqa: E402
from beliefs import Belief, overlaps, tokens_going_back  # noqa: E402
from beside import Setup  # noqa: E402
from holders import Holder, Place  # noqa: E402
from lock_api_cases import steps_of  # noqa: E402
from processes import Failed  # noqa: E402

PROGRAM = ""


def migration(*arguments, path=None):
    """The exit code, stdout and stderr."""
    environment = {**os.environ, **({"PATH": path} if path else {})}
    ended = subprocess.run([sys.executable, ROOT / "script" / "migration", *arguments], env=environment,
                           capture_output=True, text=True, timeout=150)  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


class Script(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def refused(self, *arguments, **more):
        code, _, err = migration("--program", PROGRAM, *arguments, **more)
        self.assertEqual(code, 2, err)
        return err

    def test_servers_side_by_side_hold_nothing_twice(self):
        code, out, err = migration("--program", PROGRAM, "--seconds", "6", PROGRAM)
        self.assertEqual((code, err), (0, ""), out)
        self.assertIn("granted by shared-lock", out)
        self.assertTrue(out.endswith("two holders at once, or tokens that went back: 0\n"), out)

    def test_a_path_where_nothing_is(self):
        self.assertEqual(self.refused("/nowhere"), "script/migration: /nowhere: there is nothing\n")

    def test_a_path_of_something_else(self):
        self.assertIn("neither the sources of LockServiceCentral", self.refused(str(self.folder)))

    def test_a_program_that_is_not_built(self):
        code, _, err = migration("--program", "/nowhere", str(self.folder))
        self.assertEqual((code, "script/bootstrap" in err), (2, True), err)

    def test_tools_that_are_missing(self):
        tools = self.folder / "tools"
        tools.mkdir()
        sources = self.folder / "sources"
        (sources / "locker-etcd").mkdir(parents=True)
        (sources / "pom.xml").touch()
        self.assertIn("etcd is not installed", self.refused(str(sources), path=str(tools)))
        (tools / "etcd").touch(0o755)
        self.assertIn("java is needed and not installed", self.refused(str(sources), path=str(tools)))
        (tools / "java").touch(0o755)
        self.assertIn("mvn is needed and not installed", self.refused(str(sources), path=str(tools)))
        (sources / "locker-etcd").rmdir()
        for name in ("go.mod", "main.go"):
            (sources / name).touch()
        self.assertIn("go is needed and not installed", self.refused(str(sources), path=str(tools)))

    def test_a_build_that_fails(self):
        for name in ("go.mod", "main.go"):
            (self.folder / name).touch()
        tools = self.folder / "tools"
        tools.mkdir()
        self.write(tools / "go", "echo no such module; exit 1")
        err = self.refused(str(self.folder), path=f"{tools}:{os.environ['PATH']}")
        self.assertIn("go build", err)
        self.assertIn("no such module", err)

    def test_sources_are_built_and_their_tests_run(self):
        """Of both, in one tree that stands for them, with tools that build what only seems to be theirs."""
        tools, sources = self.folder / "tools", self.folder / "sources"
        cases = sources / "api" / "src" / "test" / "resources" / "tests"
        for each in (tools, cases, sources / "locker-etcd", sources / "scripts"):
            each.mkdir(parents=True)
        (sources / "pom.xml").touch()
        (cases / "good.json").write_text(json.dumps(steps_of("a lock is taken and shown", "good")))
        (cases / "bad.json").write_text(json.dumps(steps_of("a lock is taken and shown", "x")).replace("90", "91", 1))
        settings = "-u SERVER_ADDRESS SHARED_LOCK_SERVER_ADDRESS=127.0.0.1 SHARED_LOCK_SERVER_PORT=$SERVER_PORT"
        settings += " SHARED_LOCK_ETCD_ADDR_LIST=$LOCKER_ETCD_ENDPOINTS"
        self.write(tools / "java", f'test "$1" = -jar && exec env {settings} {PROGRAM} serve')
        self.write(tools / "mvn", "mkdir api/target; touch api/target/api-1.jar api/target/api-1-javadoc.jar")
        arguments = ("--program", PROGRAM, "--seconds", "4", str(sources))
        code, out, err = migration(*arguments, path=f"{tools}:{os.environ['PATH']}")
        self.assertEqual((code, err), (1, ""), out)
        self.assertIn("its HTTP tests: 1 of 2 pass", out)
        self.assertIn("  bad.json: step 1, POST", out)
        self.assertIn("granted by LockServiceCentral", out)
        self.assertFalse((sources / "api" / "target").exists(), "it is built elsewhere")

    def write(self, path, what):
        path.write_text(f"#!/bin/sh\n{what}\n")
        path.chmod(0o755)


class Load(unittest.TestCase):
    """The load script, by scripts that say what it says."""

    def outcome(self, text, code=0):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        load = folder / "script"
        load.write_text(f"#!/bin/sh\nprintf '{text}'\nexit {code}\n")
        load.chmod(0o755)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            return run_its_load(Setup(folder, Path(PROGRAM)), load), out.getvalue()

    def test_is_read(self):
        good = "Total requests: 20\\nSuccessful requests: 20\\nFailed requests: 0\\n"
        self.assertEqual(self.outcome(good), (True, "its load script: 20 requests, 0 failed\n"))
        self.assertFalse(self.outcome(good.replace("Failed requests: 0", "Failed requests: 1"))[0])
        self.assertFalse(self.outcome(good.replace("20", "0"))[0])
        with self.assertRaises(Failed):
            self.outcome("nothing")
        with self.assertRaises(Failed):
            self.outcome(good, code=1)


class Beliefs(unittest.TestCase):
    def test_overlaps(self):
        def beliefs(*spans):
            return [Belief(resource, f"c{i}", "s", begin, end) for i, (resource, begin, end) in enumerate(spans)]

        self.assertEqual(overlaps(beliefs(("a", 0, 2), ("a", 2, 3), ("b", 1, 9))), [])
        self.assertEqual(len(overlaps(beliefs(("a", 1.9, 3), ("a", 0, 2)))), 1)
        self.assertEqual(len(overlaps(beliefs(("a", 0, 9), ("a", 1, 2), ("a", 3, 4)))), 2, "within the first")
        self.assertEqual(overlaps(beliefs(("a", 0, 0), ("a", 0, 1))), [], "it ended as it began")

    def test_tokens(self):
        def beliefs(*holdings):
            return [Belief("a", "c", "s", begin, begin + 1, asked, token) for asked, begin, token in holdings]

        self.assertEqual(tokens_going_back(beliefs((0, 1, 5), (2, 3, 6), (4, 5, 0), (6, 7, 9))), [])
        self.assertEqual(len(tokens_going_back(beliefs((0, 1, 5), (2, 3, 5)))), 1)
        self.assertEqual(len(tokens_going_back(beliefs((0, 1, 5), (2, 3, 0), (4, 5, 4)))), 1)
        self.assertEqual(tokens_going_back(beliefs((0, 3, 5), (1, 2, 6))), [], "asked before the other was answered")

    def test_of_a_server_that_grants_everything_to_everybody(self):
        class Grants(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802: its base class calls it so
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(201 if self.path == "/lease" else 200)
                self.send_header("X-Lock-Ttl", "5")
                self.send_header("X-Fencing-Token", "7")
                self.send_header("Content-Length", "1")
                self.end_headers()
                self.wfile.write(b"1")

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Grants)
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        stop = threading.Event()
        place = Place("it", server.server_address[1], ("locks", "leases"), ours=True)
        holders = [Holder(f"c{i}", i, [place], stop) for i in range(8)]
        for holder in holders:
            holder.start()
        until = time.monotonic() + 60
        while time.monotonic() < until and sum(len(holder.beliefs) for holder in holders) < 20:
            time.sleep(0.01)  # real time: other threads are at work
        stop.set()
        for holder in holders:
            holder.join()
        beliefs = [belief for holder in holders for belief in holder.beliefs]
        self.assertNotEqual(overlaps(beliefs), [])
        self.assertNotEqual(tokens_going_back(beliefs), [])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
