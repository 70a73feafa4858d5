#!/usr/bin/env python3
"""What clients of the two services that this one replaces ask of them, asked of this one.

Usage: migration_test.py PROGRAM [ARGUMENTS OF UNITTEST…]
"""

import concurrent.futures
import http.client
import socket
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "api"))
sys.dont_write_bytecode = True

from http_cases import ANY_ID, Clock, differences, run_case  # noqa: E402
from lease_load import Load  # noqa: E402
from lock_api_cases import CASES, asked, lock, step, steps_of  # noqa: E402
from serving import serve  # noqa: E402

PROGRAM = ""


class OnServer(unittest.TestCase):
    def serve(self, **settings):
        errors = self.enterContext(tempfile.NamedTemporaryFile("w"))
        server, port = serve(PROGRAM, errors, **settings)

        def end():
            server.terminate()
            self.assertEqual(server.wait(30), 0, Path(errors.name).read_text(errors="replace"))

        self.addCleanup(end)
        return port


class LockServiceCentral(OnServer):
    """Its HTTP tests."""

    def test_every_case(self):
        ports = {strict: self.serve(COMPAT_STRICT=str(strict).lower()) for strict in (True, False)}
        with concurrent.futures.ThreadPoolExecutor(2 * len(CASES)) as pool:  # some wait for a lock to end
            runs = {
                (case, strict): pool.submit(run_case, port, steps_of(case, strict), strict)
                for case in CASES
                for strict, port in ports.items()
            }
        for (case, strict), run in runs.items():
            with self.subTest(case, strict=strict):
                self.assertEqual(run.result(), [])

    def test_members_that_a_strict_server_leaves_out_are_missed(self):
        port = self.serve()
        said = run_case(port, steps_of("a lock is taken and shown", "more"), True)
        self.assertTrue(any("fencingToken too many" in each for each in said), said)

    def test_wrong_answers_are_seen(self):
        port = self.serve(COMPAT_STRICT="true")
        for name, status, answer in (
            ("an expiry", 200, lock("worker-a", 90, 80)),
            ("a duration", 200, lock("worker-a", 91, 90)),
            ("a status", 423, lock("worker-a", 90, 90)),
            ("a member", 200, {**lock("worker-a", 90, 90), "colour": "red"}),
        ):
            with self.subTest(name):
                case = [step("POST", "/acquire", status, answer, 0, asked("worker-a", 90))]
                self.assertNotEqual(run_case(port, case, True), [])


class Comparison(unittest.TestCase):
    def test_members_lists_and_types(self):
        clock = Clock()
        for expected, found, alike in (
            ({"a": 1}, {"a": 1}, True),
            ({"a": 1}, {"a": True}, False),
            ({"a": ["x", "y"]}, {"a": ["y", "x"]}, False),
            ({"a": 1}, {}, False),
            ({}, {"a": 1}, False),
            ({"errorId": ANY_ID}, {"errorId": "0fa0c4e3-5d0c-4c5e-8f3c-0123456789ab"}, True),
            ({"errorId": ANY_ID}, {"errorId": ""}, False),
            ({}, "", False),
        ):
            self.assertEqual(differences(expected, found, clock) == [], alike, (expected, found))

    def test_an_expiry_counts_from_when_the_request_was_handled(self):
        clock = Clock()
        clock.seen(1000, sent=5000.9, answered=5001.1)
        for found, alike in ((5059, False), (5060, True), (5061, True), (5062, False)):
            self.assertEqual(differences({"expiry": 1060}, {"expiry": found}, clock) == [], alike, found)


class SharedLock(OnServer):
    """What the Go service's tests and its load script do."""

    def post(self, port, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request("POST", path, body, {"x-lease-ttl": "1m"} if path == "/lease" else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def together(self, count, call):
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return [each.result() for each in [pool.submit(call) for _ in range(count)]]

    def test_the_load_script_has_no_failures(self):
        load = Load(self.serve(), clients=150, seconds=1)
        self.assertEqual(load.failed(), 0, load.statuses)
        self.assertEqual(set(load.statuses), {201}, "every key is new")
        self.assertEqual(len(set(load.ids)), load.statuses[201], "no id twice")
        self.assertGreaterEqual(load.statuses[201], 150)

    def test_the_load_script_counts_failures(self):
        with socket.socket() as deaf:  # its port is taken, and nobody answers there
            deaf.bind(("127.0.0.1", 0))
            load = Load(deaf.getsockname()[1], clients=3, seconds=0)
        self.assertEqual((load.failed(), load.statuses), (3, {None: 3}))

    def test_one_of_a_hundred_at_once_has_the_key(self):
        port = self.serve()
        answers = self.together(100, lambda: self.post(port, "/lease", '{"key":"one"}'))
        granted = [body for status, body in answers if status == 201]
        self.assertEqual(len(granted), 1, answers)
        self.assertEqual(answers.count((202, "")), 99, answers)

    def test_keepalives(self):
        port = self.serve()
        lease = self.post(port, "/lease", '{"key":"kept","value":"v"}')[1]
        self.assertEqual(self.together(50, lambda: self.post(port, "/keepalive", lease)), [(200, "")] * 50)
        for body in ("no-id", ""):
            self.assertEqual(self.post(port, "/keepalive", body)[0], 500, body)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
