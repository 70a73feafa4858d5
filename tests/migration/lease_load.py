"""Load on the lease API, as the load script of the Go service makes it: many clients, each on a connection of its own,
and each with a key that nobody used before; what counts is the status."""

import collections
import http.client
import json
import threading
import time


class Load:
    """`statuses`: how often each was answered, with None for no answer; `ids`: of the leases."""

    def __init__(self, port, clients, seconds):
        self.port = port
        self.statuses = collections.Counter()
        self.ids = []
        self._lock = threading.Lock()
        self._end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._run, args=(client,)) for client in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _run(self, client):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        statuses, ids = collections.Counter(), []
        number = 0
        while time.monotonic() < self._end or number == 0:
            lease = {"key": f"load-{client}-{number}", "value": "load", "labels": {"from": "load"}}
            number += 1
            try:
                connection.request("POST", "/lease", json.dumps(lease), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                statuses[None] += 1
                connection.close()
                continue
            statuses[answer.status] += 1
            if answer.status == 201:
                ids.append(int(body))
        connection.close()
        with self._lock:
            self.statuses += statuses
            self.ids += ids

    def failed(self):
        """Requests that the script counts as failed."""
        return sum(count for status, count in self.statuses.items() if status is None or not 200 <= status < 300)
