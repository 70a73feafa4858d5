"""Starts the program for tests that are written in Python."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path


def serve(program, errors, **settings):
    """A server on a port that the kernel picks, with a memory store, and that port; `errors`: an open, named file for
    its log. Exits when it does not serve. The caller ends it."""
    environment = {**os.environ, "SHARED_LOCK_STORAGE_TYPE": "memory", "AUTHENTICATION_DISABLED": "true",
                   "SHARED_LOCK_SERVER_ADDRESS": "127.0.0.1", **settings}
    server = subprocess.Popen([program, "serve", "--port", "0"], env=environment, stderr=errors)
    until = time.monotonic() + 30
    while time.monotonic() < until and server.poll() is None:
        port = re.search(r'"msg":"serving".*"port":(\d+)', Path(errors.name).read_text(errors="replace"))
        if port:
            return server, int(port[1])
        time.sleep(0.02)  # real time: another process starts
    server.kill()
    sys.exit("the server does not serve: " + Path(errors.name).read_text(errors="replace"))
