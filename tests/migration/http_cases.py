"""Runs cases of the lock API against a server: requests one after the other, and the answer that each must get.

A case is a list of steps, as LockServiceCentral's HTTP tests write them: `verb`, `path`, `request` (JSON, of a POST),
`status`, `response` (the whole JSON), and `now` (epoch seconds by a clock that the test sets). A server here has a
clock of its own: the seconds from the `now` of one step to that of the next are waited for, and `expiry` is compared
by how far it is from them. An `errorId` of nothing but zeros stands for any.
"""

import http.client
import json
import re
import time

ANY_ID = "00000000-0000-0000-0000-000000000000"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Members that answers may have besides, unless the server is strict: no client reads less because of them.
ADDED = {"fencingToken", "ttl", "waiters", "ahead"}
ADDED_TO_A_REFUSAL = ADDED | {"owner", "expiry"}


class BadCase(Exception):
    """A sentence for people: a file is no case."""


def read_case(path):
    """The steps of a file."""
    try:
        steps = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadCase(f"{path}: not JSON: {error}") from error
    if not isinstance(steps, list) or not steps:
        raise BadCase(f"{path}: not a list of steps")
    for step in steps:
        missing = {"verb", "path", "status", "response"} - (step.keys() if isinstance(step, dict) else set())
        if missing:
            raise BadCase(f"{path}: a step without {', '.join(sorted(missing))}")
    return steps


def seconds_of(steps):
    """For how long a case waits."""
    times = [step["now"] for step in steps if "now" in step]
    return max(times) - times[0] if times else 0


class Clock:
    """The server's clock, by what is known of it: how far it is ahead of that of the case, at least and at most."""

    def __init__(self):
        self.last = None  # `now` of the last step, and when it was answered
        self.ahead = None

    def wait_until(self, now):
        if self.last:
            left = self.last[1] + now - self.last[0] - time.monotonic()
            time.sleep(max(0.0, left))  # real time: a lock is to end by then

    def seen(self, now, sent, answered):
        """A request at `now` was handled between those two moments."""
        self.last = now, time.monotonic()
        least, most = int(sent) - now, int(answered) - now
        self.ahead = (min(least, self.ahead[0]), max(most, self.ahead[1])) if self.ahead else (least, most)

    def agrees(self, expected, found):
        return self.ahead is not None and self.ahead[0] <= found - expected <= self.ahead[1]


def differences(expected, found, clock, added=frozenset(), at="$"):
    """What is not as it should be, a sentence each."""
    if at.endswith(".errorId") and expected == ANY_ID:
        return [] if isinstance(found, str) and UUID.fullmatch(found) else [f"{at}: {found!r} is no UUID"]
    if at.endswith(".expiry") and isinstance(expected, int) and isinstance(found, int):
        return [] if clock.agrees(expected, found) else [f"{at}: {found}, where the case has {expected}"]
    if isinstance(expected, dict) and isinstance(found, dict):
        wrong = [f"{at}: no member {name}" for name in expected.keys() - found.keys()]
        wrong += [f"{at}: a member {name} too many" for name in found.keys() - expected.keys() - added]
        for name in expected.keys() & found.keys():
            wrong += differences(expected[name], found[name], clock, added, f"{at}.{name}")
        return sorted(wrong)
    if type(expected) is not type(found) or expected != found:
        return [f"{at}: {json.dumps(found)}, where the case has {json.dumps(expected)}"]
    return []


def ask(port, step):
    """The status and the body, as JSON where it is that."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        body = json.dumps(step["request"]) if "request" in step else None
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(step["verb"], step["path"], body, headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text
    finally:
        connection.close()


def run_case(port, steps, strict):
    """What went otherwise than the case says, a sentence each; nothing when all is well. `strict`: answers must have no
    more members than it has."""
    clock = Clock()
    wrong = []
    for number, step in enumerate(steps, 1):
        if "now" in step:
            clock.wait_until(step["now"])
        sent = time.time()
        status, body = ask(port, step)
        if "now" in step:
            clock.seen(step["now"], sent, time.time())
        added = frozenset() if strict else ADDED_TO_A_REFUSAL if step["status"] == 423 else ADDED
        where = f"step {number}, {step['verb']} {step['path']}"
        if status != step["status"]:
            wrong.append(f"{where}: {status}, where the case has {step['status']}: {json.dumps(body)}")
        else:
            wrong += [f"{where}: {each}" for each in differences(step["response"], body, clock, added)]
    return wrong
