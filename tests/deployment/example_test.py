"""The examples, started twice each: one instance works at a time, and the other takes over when it is killed."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "api"))
from serving import serve  # noqa: E402

PROGRAM = sys.argv.pop(1)
LIBRARY_EXAMPLE = sys.argv.pop(1)


class Instance:
    """One that runs in a session of its own; what it prints is noted with the time."""

    def __init__(self, command, name, environment, seen):
        self.process = subprocess.Popen([*command, name], env=environment, stdout=subprocess.PIPE, text=True,
                                        start_new_session=True)
        self.reader = threading.Thread(target=self.read, args=(name, seen), daemon=True)
        self.reader.start()

    def read(self, name, seen):
        for line in self.process.stdout:
            assert line.startswith(name + " works"), line
            seen.append((time.monotonic(), name))

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Examples(unittest.TestCase):
    def expect_one_at_a_time(self, *command):
        with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as errors:
            (Path(folder) / "shared-lock").symlink_to(PROGRAM)
            server, port = serve(PROGRAM, errors)
            environment = {**os.environ, "PATH": folder + ":" + os.environ["PATH"],
                           "SHARED_LOCK_URL": f"http://127.0.0.1:{port}"}
            seen, instances = [], []
            try:
                instances.append(Instance(command, "first", environment, seen))
                self.wait_for(seen, "first")
                instances.append(Instance(command, "second", environment, seen))
                until = time.monotonic() + 7  # real time: longer than the ttl
                while time.monotonic() < until:
                    self.assertEqual({name for _, name in seen}, {"first"})
                    time.sleep(0.1)  # real time: this is that wait
                instances[0].kill()
                killed = time.monotonic()
                self.wait_for(seen, "second")
                self.assertEqual([name for at, name in seen if at > killed + 1 and name == "first"], [])
            finally:
                for instance in instances:
                    instance.kill()
                server.kill()
                server.wait()

    def wait_for(self, seen, name):
        until = time.monotonic() + 30
        while not any(worker == name for _, worker in seen):
            self.assertLess(time.monotonic(), until, f"{name} does not work")
            time.sleep(0.05)  # real time: another process works

    def test_with_run(self):
        self.expect_one_at_a_time(str(ROOT / "example" / "with_run.sh"))

    def test_with_curl(self):
        self.expect_one_at_a_time(str(ROOT / "example" / "with_curl.sh"))

    def test_with_library(self):
        self.expect_one_at_a_time(LIBRARY_EXAMPLE)


if __name__ == "__main__":
    unittest.main()
