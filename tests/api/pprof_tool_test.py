#!/usr/bin/env python3
"""Takes profiles of a server under load with google-pprof, over HTTP, and checks that they name what the server did.

Usage: pprof_tool_test.py PROGRAM
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

from serving import serve


class Load(threading.Thread):
    """Takes leases, each with a key of its own, until told to stop: many requests at once, so that it is the server
    that has work to do."""

    AT_ONCE = 200
    MOST = 400_000

    def __init__(self, port):
        super().__init__()
        self.port, self.over, self.asked = port, threading.Event(), 0

    def batch(self):
        requests = []
        for _ in range(self.AT_ONCE):
            self.asked += 1
            body = '{"key":"key-%d"}' % (self.asked % self.MOST)
            requests.append("POST /lease HTTP/1.1\r\nHost: a\r\nx-lease-ttl: 600s\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n{body}")
        return "".join(requests).encode()

    def run(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            while not self.over.is_set():
                connection.sendall(self.batch())
                answers = b""
                while answers.count(b"HTTP/1.1 2") < self.AT_ONCE:
                    more = connection.recv(1 << 20)
                    assert more, "the server has closed the connection"
                    answers += more


def pprof(*arguments, home):
    done = subprocess.run(["google-pprof", *arguments], capture_output=True, text=True, timeout=90,
                          env={**os.environ, "HOME": home, "PPROF_TMPDIR": home})
    assert done.returncode == 0, done.stderr
    return done.stdout


def expect(text, *patterns):
    for pattern in patterns:
        assert re.search(pattern, text), f"{pattern} is not in:\n{text[:4000]}"


def check(program, port, home):
    base = f"http://127.0.0.1:{port}/debug/pprof"
    remote = pprof("--text", "--seconds=3", base + "/profile", home=home)
    expect(remote, r"Total: [1-9]\d* samples", r"sharedlock::")
    # The program's own file names the functions as well.
    expect(pprof("--text", "--seconds=2", program, base + "/profile", home=home), r"sharedlock::")
    expect(pprof("--text", base + "/heap", home=home), r"Total: \d+\.\d MB", r"sharedlock::")
    print(remote[:800])


def check_secure_execution(program):
    """A program with set-user-id preloads nothing; it has to serve without profiles, not to start anew for ever.
    Only root can make one that is another user's, and only where the file system allows it."""
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w", suffix=".log") as errors:
        if os.geteuid() != 0 or os.statvfs(folder).f_flag & os.ST_NOSUID:
            return
        nobody = 65534
        os.chmod(folder, 0o755)
        copy = shutil.copy(program, folder)
        os.chown(copy, nobody, nobody)
        os.chmod(copy, 0o4755)
        server, port = serve(copy, errors, SHARED_LOCK_PPROF_ENABLED="true")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/debug/pprof/heap", timeout=30)
            raise AssertionError("a heap profile without its allocator")
        except urllib.error.HTTPError as error:
            assert error.code == 501, error.code
        finally:
            server.terminate()
            code = server.wait(30)
        assert code == 0, code
        expect(Path(errors.name).read_text(), "there will be no profiles")


def main(program):
    check_secure_execution(program)
    with tempfile.TemporaryDirectory() as home, tempfile.NamedTemporaryFile("w", suffix=".log") as errors:
        server, port = serve(program, errors, SHARED_LOCK_PPROF_ENABLED="true")
        load = Load(port)
        load.start()
        try:
            check(program, port, home)
        finally:
            load.over.set()
            load.join(30)
            server.terminate()
            code = server.wait(30)
        assert code == 0, (code, Path(errors.name).read_text(errors="replace"))
        assert load.asked > 0


if __name__ == "__main__":
    main(sys.argv[1])
