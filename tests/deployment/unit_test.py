"""The example of a systemd unit: what systemd says of it, and what its program hears when it is stopped."""

import configparser
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "api"))
from serving import serve  # noqa: E402

PROGRAM = sys.argv.pop(1)
UNIT = ROOT / "example" / "with_systemd.service"
# Where the unit has its programs.
INSTALLED = "/usr/bin/shared-lock"
JOB = "/usr/local/bin/job"


class Unit(unittest.TestCase):
    def setUp(self):
        self.unit = configparser.ConfigParser(interpolation=None, strict=True)
        self.unit.optionxform = str  # names of directives tell upper case from lower case
        self.unit.read(UNIT)

    def test_systemd_takes_it(self):
        if not shutil.which("systemd-analyze"):
            self.fail("systemd-analyze is not here: script/bootstrap installs it")
        with tempfile.TemporaryDirectory() as folder:
            unit = Path(folder) / UNIT.name
            unit.write_text(UNIT.read_text().replace(INSTALLED, PROGRAM).replace(JOB, "/bin/true"))
            said = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
            about_it = [line for line in (said.stdout + said.stderr).splitlines() if UNIT.name in line]
            self.assertEqual(about_it, [])
            self.assertEqual(said.returncode, 0, said.stderr)

    def wait_for(self, file):
        until = time.monotonic() + 30
        while not file.exists():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)  # real time: this is the poll

    def test_program_is_stopped_by_one_signal(self):
        service = self.unit["Service"]
        self.assertEqual(service["KillMode"], "mixed")
        with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as errors:
            job, heard, up, last = (Path(folder) / name for name in ("job", "heard", "up", "last"))
            job.write_text(f"#!/bin/sh\ntrap 'echo TERM >> {heard}' TERM\ntrap ': > {last}' USR1\n"
                           f": > {up}\nwhile [ ! -e {last} ]; do sleep 0.01; done\nsleep 0.1\nexit 0\n")
            job.chmod(0o755)
            command = shlex.split(service["ExecStart"].replace(INSTALLED, PROGRAM).replace(JOB, str(job)))
            server, port = serve(PROGRAM, errors)
            run = None
            try:
                run = subprocess.Popen(command, env={**os.environ, "SHARED_LOCK_URL": f"http://127.0.0.1:{port}"})
                self.wait_for(up)
                run.send_signal(signal.SIGTERM)  # as KillMode=mixed means it
                self.wait_for(heard)
                # It takes the same way: a second SIGTERM would come with it at the latest.
                run.send_signal(signal.SIGUSR1)
                self.assertEqual(run.wait(timeout=30), 0)
                self.assertEqual(heard.read_text(), "TERM\n")
            finally:
                for process in (run, server):
                    if process is not None:
                        process.kill()
                        process.wait()


if __name__ == "__main__":
    unittest.main()
