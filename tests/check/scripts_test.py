#!/usr/bin/env python3
"""The scripts that developers call: script/named_tests.py, script/test's arguments, script/hooks. Usage: scripts_test.py
BUILD_DIRECTORY"""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(sys.argv.pop(1)).resolve()


def run(*command, cwd=ROOT):
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def named(*names):
    """What has to be built, and the expression for CTest."""
    done = run(ROOT / "script/named_tests.py", BUILD, *names)
    assert done.returncode == 0, done.stderr
    targets, expression = done.stdout.splitlines()
    return targets.split(), expression


class NamedTests(unittest.TestCase):
    def assert_selects(self, expression, *names):
        for name in names:
            self.assertRegex(name, expression)

    def test_a_suite(self):
        targets, expression = named("LockRules")
        self.assertEqual(targets, ["lock_test"])
        self.assert_selects(expression, "LockRules.AcquireOfAFreeLockIsGranted")
        self.assertNotRegex("LockRulesRenew.Anything", expression)

    def test_a_test_by_a_pattern(self):
        targets, expression = named("QueueState.SafetyR23_*")
        self.assertEqual(targets, ["queue_test"])
        self.assert_selects(expression, "QueueState.SafetyR23_ADeafHeadIsPassed")
        self.assertNotRegex("QueueState.SafetyR24_Another", expression)

    def test_a_suite_of_the_contract_is_found_on_every_store_with_and_without_values(self):
        targets, expression = named("StoreCommit")
        self.assertEqual(targets, ["etcd_contract_test", "store_test"])
        self.assert_selects(expression, "Memory.CreatesAnAbsentKey<sharedlock::test::MemoryBackend>")
        self.assertNotRegex("Memory.ListsEntriesAsGetDoes<sharedlock::test::MemoryBackend>", expression)
        self.assert_selects(named("ManyThreads")[1], "Stores/ManyThreads.NeverHoldOneLockTogether/1")

    def test_a_source_a_folder_and_a_program(self):
        self.assertEqual(named("src/lock/rules_test.cpp")[0], ["lock_test"])
        self.assertEqual(named("src/lock/")[0], named("lock_test")[0])
        self.assertEqual(named("src/store")[0], ["etcd_parts_test", "store_test"])
        targets, expression = named("metrics_text_test")
        self.assertEqual(targets, ["shared-lock"])
        self.assert_selects(expression, "metrics_text_test")

    def test_ctest_accepts_the_expression_for_many_tests(self):
        for names in (["src/lock"], ["src", "tests"], ["QueueState.SafetyR2*", "LockRules.*", "tests/check"]):
            listed = run("ctest", "--test-dir", BUILD, "--show-only", "--tests-regex", named(*names)[1])
            self.assertEqual((listed.returncode, listed.stderr), (0, ""), names)
        self.assertIn("check_sources_test", listed.stdout)

    def test_an_unknown_name_is_an_error(self):
        done = run(ROOT / "script/named_tests.py", BUILD, "LockRules", "NoSuchThing")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("NoSuchThing", done.stderr)

    def test_every_test_of_ctest_is_found(self):
        """So nothing is left out when somebody names everything."""
        listed = run("ctest", "--test-dir", BUILD, "--show-only")
        names = [name for name in re.findall(r"Test +#\d+: (\S+)", listed.stdout) if not name.endswith("_NOT_BUILT")]
        self.assertGreater(len(names), 100)
        expression = re.compile(named("src", "tests", "script")[1])
        # Corpora are tried by programs that have no suites.
        missing = [name for name in names if not expression.search(name) and not name.startswith("fuzz_corpus_")]
        self.assertEqual(missing, [])


class Usage(unittest.TestCase):
    def test_wrong_arguments_are_told_how_to_call_it(self):
        wrong = {
            "test": (["--preset"], ["--preset", "fuzz"], ["--all", "x"], ["--preset", "asan", "--all"], ["--no"]),
            "bootstrap": (["--help"], ["--preset"], ["--preset", "asan", "--no"], ["--configure", "all"]),
            "soak": ([], ["all"], ["--preset", "fuzz", "etcd"], ["etcd", "--minutes", "x"], ["crash", "x"]),
            "under": ([], ["asan"], ["--help", "true"]),
        }
        for name, calls in wrong.items():
            for arguments in calls:
                done = run(ROOT / "script" / name, *arguments)
                self.assertEqual(done.returncode, 2, (name, arguments))
                self.assertIn(f"Usage: script/{name}", done.stderr)


class Under(unittest.TestCase):
    def test_a_command_has_the_options_of_its_sanitizer_and_its_own_exit_code(self):
        for preset, variable in (("asan", "ASAN_OPTIONS"), ("tsan", "TSAN_OPTIONS"), ("fuzz", "UBSAN_OPTIONS")):
            done = run(ROOT / "script/under", preset, "sh", "-c", f'echo "${variable}"; exit 3')
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("=1", done.stdout)


class Install(unittest.TestCase):
    def test_a_list_that_is_not_there_is_an_error(self):
        for lists in ([], ["script/package"], ["script/packages", "script/package"]):
            done = run(ROOT / "script/install", *lists)
            self.assertEqual(done.returncode, 1, lists)
            self.assertIn("script/install: ", done.stderr)


class Hooks(unittest.TestCase):
    def outcome(self, message):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(message)
            file.flush()
            return run(ROOT / "script/hooks", "commit-msg", file.name)

    def test_messages(self):
        for good in ("lock: a renewal never shortens\n\nWhy.\n", "docs, etcd: figures\n", "Merge branch 'x'\n",
                     "# a comment\nbuild: ccache\n"):
            self.assertEqual(self.outcome(good).returncode, 0, good)
        for bad, why in (("A renewal never shortens", "area: what"), ("lock: " + "x" * 67, "73 characters"),
                         ("lock: what\nwhy", "second line"), ("", "area: what"), ("lock:", "area: what")):
            done = self.outcome(bad)
            self.assertEqual(done.returncode, 1, bad)
            self.assertIn(why, done.stderr)

    def test_are_installed_and_called_by_git(self):
        with tempfile.TemporaryDirectory() as folder:
            git = ["git", "-c", "user.name=n", "-c", "user.email=n@example.org", "-C", folder]
            self.assertEqual(run("git", "init", "--quiet", folder).returncode, 0)
            script = Path(folder) / "script"
            script.mkdir()
            (script / "hooks").write_bytes((ROOT / "script/hooks").read_bytes())
            (script / "check").write_text('#!/bin/sh\necho "checked $1" >&2\n')
            for name in ("hooks", "check"):
                (script / name).chmod(0o755)
            self.assertEqual(run(script / "hooks", "install").returncode, 0)
            refused = run(*git, "commit", "--allow-empty", "-m", "No area")
            self.assertEqual(refused.returncode, 1, refused.stderr)
            self.assertIn("checked --fast", refused.stderr)
            self.assertIn("area: what", refused.stderr)
            self.assertEqual(run(*git, "commit", "--allow-empty", "-m", "area: what").returncode, 0)


if __name__ == "__main__":
    unittest.main()
