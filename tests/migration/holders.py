"""Clients that take, keep and give back locks and leases at servers of several kinds, on the same etcd, and note for
how long each might believe to hold what it took."""

import collections
import http.client
import json
import random
import threading
import time
import uuid

from beliefs import Belief

LOCKS, KEYS = 4, 4  # few, so that all are wanted
JSON = {"Content-Type": "application/json"}


class NoAnswer(Exception):
    """The outcome is open."""


class Place:
    """Where a server listens, whatever process that is at the moment. `takes`: which of the two APIs it has."""

    def __init__(self, name, port, takes, ours):
        self.name, self.port, self.takes, self.ours = name, port, takes, ours

    def ask(self, method, path, body, headers=None):
        """The status, the body and the headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=8)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace"), answer.headers
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer from error
        finally:
            connection.close()


class Locks:
    """The lock API."""

    name = "locks"

    def __init__(self, choice):
        self.resource = f"lock-{choice.randrange(LOCKS)}"
        self.path = f"/v1/migration/lock/{self.resource}"
        self.instance = uuid.uuid4().hex  # one for each holding: what is late of an earlier one means nothing then

    def _change(self, place, what, seconds=0):
        body = {"instanceId": self.instance, **({"leaseDuration": seconds} if seconds else {})}
        sent, wall = time.monotonic(), time.time()
        status, text, headers = place.ask("POST", f"{self.path}/{what}", json.dumps(body), JSON)
        if status not in (200, 423):
            raise NoAnswer
        if status == 423 or not seconds:
            return status == 200, sent, 0
        if place.ours:
            return True, sent + int(headers["X-Lock-Ttl"]), int(headers["X-Fencing-Token"])
        # It takes a lock over when the wall clock is past `expiry`, and its lease in etcd ends no earlier.
        return True, sent + min(json.loads(text)["expiry"] - wall, seconds if what == "acquire" else 3600), 0

    def take(self, place, seconds):
        return self._change(place, "acquire", seconds)

    def keep(self, place, seconds):
        return self._change(place, "renew", seconds)[:2]

    def give_back(self, place):
        self._change(place, "release")


class Leases:
    """The lease API."""

    name = "leases"

    def __init__(self, choice):
        self.resource = f"key-{choice.randrange(KEYS)}"
        self.id = ""
        self.seconds = 0

    def take(self, place, seconds):
        self.seconds = seconds
        body = json.dumps({"key": self.resource, "value": "v"})
        sent = time.monotonic()
        status, text, headers = place.ask("POST", "/lease", body, {"x-lease-ttl": f"{seconds}s"})
        if status not in (201, 202):
            raise NoAnswer
        self.id = text
        return status == 201, sent + seconds, int(headers.get("x-fencing-token", 0)) if status == 201 else 0

    def keep(self, place, _):
        sent = time.monotonic()
        status = place.ask("POST", "/keepalive", self.id)[0]
        if status not in (200, 204):
            raise NoAnswer
        return status == 200, sent + self.seconds

    def give_back(self, place):
        if place.ours:  # the Go service has no such call: there a lease is left to its end
            place.ask("POST", "/release", self.id)


class Holder(threading.Thread):
    """One client, until `stop` is set. Then `beliefs` are its holdings, and `counts` what it was answered."""

    def __init__(self, name, seed, places, stop):
        super().__init__(name=name)
        self.choice = random.Random(seed)
        self.places, self.stop = places, stop
        self.beliefs = []
        self.counts = collections.Counter()

    def run(self):
        kinds = [kind for kind in (Locks, Leases) if any(kind.name in place.takes for place in self.places)]
        while not self.stop.is_set():
            self._hold(self.choice.choice(kinds)(self.choice))
            self.stop.wait(self.choice.uniform(0.0, 0.2))

    def _somewhere(self, thing):
        return self.choice.choice([place for place in self.places if thing.name in place.takes])

    def _hold(self, thing):
        place = self._somewhere(thing)
        asked = time.monotonic()
        try:
            taken, end, token = thing.take(place, self.choice.randint(2, 5))
        except NoAnswer:
            self.counts["unknown"] += 1
            return
        if not taken:
            self.counts["refused"] += 1
            return
        self.counts[f"granted by {place.name}"] += 1
        belief = Belief(thing.resource, self.name, place.name, time.monotonic(), end, asked, token)
        self.beliefs.append(belief)
        while self._goes_on(thing, belief):
            pass

    def _goes_on(self, thing, belief):
        """The next thing that its holder does; False when it is the last."""
        self.stop.wait(self.choice.uniform(0.0, max(0.0, belief.end - time.monotonic()) / 2))
        now = time.monotonic()
        if now >= belief.end or self.stop.is_set():
            return False
        what = self.choice.choice(("keep", "keep", "give back", "give back", "let go"))
        place = self._somewhere(thing)
        try:
            if what == "keep":
                kept, end = thing.keep(place, self.choice.randint(2, 4))
                if kept:
                    self.counts["kept"] += 1
                    belief.end = max(belief.end, end)
                else:  # it is lost, or may be
                    self.counts["ended early"] += 1
                    belief.end = min(belief.end, now)
                return kept
            if what == "give back":
                if thing.name == "locks" or place.ours:
                    belief.end = min(belief.end, now)
                thing.give_back(place)
            return False
        except NoAnswer:
            self.counts["unknown"] += 1
            return what == "keep"
