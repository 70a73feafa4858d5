#!/usr/bin/env python3
"""`script/server` keeps its locks over kill -9: starts it as its users do, takes a lock with curl, kills it, starts it
again, and looks. In a folder of its own and on a free port of this machine. Usage: server_script_test.py"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds for a start, which looks whether everything is built


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def curl(url, *options):
    done = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "10", *options, url],
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Server:
    """script/server, serving; killed with SIGKILL at the end of the `with`."""

    def __init__(self, port, folder):
        settings = {"SHARED_LOCK_SERVER_PORT": str(port), "SHARED_LOCK_DATA_DIR": folder}
        self.process = subprocess.Popen([ROOT / "script" / "server"], env={**os.environ, **settings},
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.port = port

    def __enter__(self):
        give_up = time.monotonic() + PATIENCE
        said = []
        for line in self.process.stderr:
            said.append(line)
            if '"msg":"serving"' in line:
                return self
            if time.monotonic() > give_up:
                break
        self.process.kill()
        sys.exit("script/server does not serve: " + "".join(said))

    def __exit__(self, *_):
        # script/server has become the server, so this is its process.
        self.process.send_signal(signal.SIGKILL)
        if self.process.wait(30) != -signal.SIGKILL:
            sys.exit(f"the server was gone before it was killed: {self.process.returncode}")
        self.process.stderr.close()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


def main():
    with tempfile.TemporaryDirectory() as folder:
        with Server(free_port(), folder) as server:
            taken = curl(server.url("/v1/space/lock/abc/acquire"), "--json",
                         '{"instanceId":"instance-1","leaseDuration":3600}')
            before = curl(server.url("/v1/space/lock/abc"))
        with Server(free_port(), folder) as server:
            after = curl(server.url("/v1/space/lock/abc"))
    if not taken.get("fencingToken") or before != after:
        sys.exit(f"taken {taken}, then {before}; after kill -9 {after}")
    print("script/server has kept its lock over kill -9:", after)


if __name__ == "__main__":
    main()
