#!/usr/bin/env python3
"""The completions in real shells, and the manual page: pages_test.py PROGRAM [TEST]"""

import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = ""
COMMANDS = ("serve config health store run acquire renew release get verify force-release lease bench completion man "
            "version").split()
LEASE_COMMANDS = "grant keepalive release get".split()
STORE_COMMANDS = ["accept"]


def output(*arguments):
    return subprocess.run([PROGRAM, *arguments], check=True, capture_output=True, text=True).stdout


class Terminal:
    """A zsh at a terminal of its own."""

    def __init__(self, directory):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(ZDOTDIR=directory, TERM="dumb", HOME=directory)
            os.execvp("zsh", ["zsh", "-i"])

    def read_until(self, pattern, limit=30):
        text = ""
        end = time.monotonic() + limit
        while not re.search(pattern, text, re.DOTALL):
            readable, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            if not readable:
                raise AssertionError(f"no {pattern!r} in {text!r}")
            text += os.read(self.fd, 4096).decode(errors="replace")
        return text

    def write(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


class Pages(unittest.TestCase):
    def complete_in_bash(self, line, directory="/"):
        words = line.split(" ")
        script = (output("completion", "bash") +
                  'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; _shared_lock; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        ended = subprocess.run(["bash", "--norc", "-u", "-c", script, "bash", *words], cwd=directory, check=True,
                               capture_output=True, text=True)
        self.assertEqual(ended.stderr, "")
        return ended.stdout.split()

    def test_bash(self):
        offered = self.complete_in_bash("shared-lock ")
        self.assertEqual([word for word in offered if not word.startswith("-")], COMMANDS)
        self.assertEqual(self.complete_in_bash("shared-lock re"), ["renew", "release"])
        offered = self.complete_in_bash("shared-lock lease ")
        self.assertEqual([word for word in offered if not word.startswith("-")], LEASE_COMMANDS)
        offered = self.complete_in_bash("shared-lock store ")
        self.assertEqual([word for word in offered if not word.startswith("-")], STORE_COMMANDS)
        self.assertEqual(self.complete_in_bash("shared-lock lease grant --t"), ["--ttl", "--token-file"])
        self.assertEqual(self.complete_in_bash("shared-lock run --on-lost "), ["terminate", "kill", "ignore"])
        self.assertEqual(self.complete_in_bash("shared-lock run demo --on-lost k"), ["kill"])
        self.assertEqual(self.complete_in_bash("shared-lock serve --storage m"), ["memory", "mock"])
        self.assertEqual(self.complete_in_bash("shared-lock completion "), ["--help", "bash", "zsh"])
        # Neither the name of a lock nor a duration can be completed.
        self.assertEqual(self.complete_in_bash("shared-lock acquire demo --ttl "), [])
        # A lock may be called like a command.
        self.assertIn("--on-lost", self.complete_in_bash("shared-lock run get --"))
        self.assertIn("bash", self.complete_in_bash("shared-lock run demo -- bas"))
        with tempfile.TemporaryDirectory() as directory:
            (pathlib.Path(directory) / "token.txt").touch()
            self.assertEqual(self.complete_in_bash("shared-lock get --token-file to", directory), ["token.txt"])
            self.assertEqual(self.complete_in_bash("shared-lock run demo -- cat to", directory), ["token.txt"])

    def test_zsh(self):
        with tempfile.TemporaryDirectory() as directory:
            functions = pathlib.Path(directory)
            (functions / "_shared-lock").write_text(output("completion", "zsh"))
            (functions / "token.txt").touch()
            # Lists the candidates, instead of a menu, without questions.
            (functions / ".zshrc").write_text(
                "PS1='ready> '\nfpath=($ZDOTDIR $fpath)\nLISTMAX=10000\nunset zle_bracketed_paste\n"
                "autoload -U compinit; compinit -u -D\nzstyle ':completion:*' list-prompt ''\n"
                f"path=({pathlib.Path(PROGRAM).parent} $path)\ncd $ZDOTDIR\n")
            for keys, *patterns in (("shared-lock ver", "verify", "version"),
                                    ("shared-lock ren", "shared-lock renew "),
                                    ("shared-lock lease ", "grant.*keepalive.*release"),
                                    ("shared-lock lease grant --val", "--value "),
                                    ("shared-lock run --on-lost ", "ignore +kill +terminate"),
                                    ("shared-lock run demo -- cat tok", "token.txt"),
                                    ("shared-lock get --token-file tok", "token.txt")):
                terminal = Terminal(directory)
                try:
                    terminal.read_until("ready> ")
                    terminal.write(keys + "\t")
                    terminal.read_until("".join(f"(?=.*{each})" for each in patterns))
                finally:
                    terminal.end()

    def test_man(self):
        page = output("man")
        ended = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-c"], input=page, capture_output=True, text=True,
                               check=True)
        self.assertEqual(ended.stderr, "")
        text = re.sub(".\b", "", ended.stdout)
        commands = [name for name in COMMANDS if name not in ("lease", "store")]
        commands += ["lease " + name for name in LEASE_COMMANDS] + ["store " + name for name in STORE_COMMANDS]
        for command in commands:
            self.assertRegex(text, rf"(?m)^   {command}$")
            for flag in re.findall(r"(?m)^  (?:-h,)?(--[a-z-]+)", output(*command.split(), "--help")):
                self.assertRegex(text, rf"(?m)^       {flag}\b", command)
        self.assertEqual(text.count("--etcd-endpoints"), 1, "what commands share is described once")
        self.assertIn("SHARED_LOCK_ADMIN_TOKEN", text)
        self.assertRegex(text, "76 it is not\\s+held")

    def test_install(self):
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(["cmake", "--install", pathlib.Path(PROGRAM).parent, "--component", "program", "--prefix",
                            directory], check=True, stdout=subprocess.DEVNULL)
            there = pathlib.Path(directory)
            share = there / "share"
            self.assertEqual((share / "man/man1/shared-lock.1").read_text(), output("man"))
            self.assertEqual((share / "bash-completion/completions/shared-lock").read_text(), output("completion", "bash"))
            self.assertEqual((share / "zsh/site-functions/_shared-lock").read_text(), output("completion", "zsh"))
            self.assertTrue(os.access(there / "bin/shared-lock", os.X_OK))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
