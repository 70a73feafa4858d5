"""What LockServiceCentral's HTTP tests ask of it, asked in words of our own; see http_cases.py for the form. LOCK and
SPACE stand for names that no other case uses."""

import json

from http_cases import ANY_ID

NOW = 1_600_000_000  # when the first step of each case is
ADDITIONAL = "is not defined in the schema and the schema does not allow additional properties"


def step(verb, what, status, response, now=None, request=None, path="/v1/SPACE/lock/LOCK"):
    made = {"verb": verb, "path": path + what, "status": status, "response": response}
    if now is not None:
        made["now"] = NOW + now
    if request is not None:
        made["request"] = request
    return made


def asked(instance, seconds=None, **more):
    return {"instanceId": instance, **({"leaseDuration": seconds} if seconds is not None else {}), **more}


def lock(instance, seconds, expiry):
    return {"success": True, "namespace": "SPACE", "lockName": "LOCK", "owner": "anonymous", "instanceId": instance,
            "leaseDuration": seconds, "expiry": NOW + expiry}  # fmt: skip


def outcome(success):
    return {"success": success, "namespace": "SPACE", "lockName": "LOCK"}


def wrong(*details):
    return {"message": "JSON validation failed", "details": list(details)}


def bad_path(parameter, what):
    return {"message": "Validation failed", "details": [f"Parameter '{parameter}' failed validation: {what}"]}


def taken(instance="worker-a", seconds=90, now=0):
    return step("POST", "/acquire", 200, lock(instance, seconds, now + seconds), now, asked(instance, seconds))


def refused(what, instance="worker-b", now=0):
    request = asked(instance) if what == "release" else asked(instance, 30)
    return step("POST", f"/{what}", 423, outcome(False), now, request)


def released(instance="worker-a", now=0):
    return step("POST", "/release", 200, outcome(True), now, asked(instance))


def invalid(what, request, *details):
    return step("POST", f"/{what}", 400, wrong(*details), 0, request)


def shown_free():
    return step("GET", "", 200, {"namespace": "SPACE", "lockName": "LOCK"})


def shown_held(expiry):
    held = {"namespace": "SPACE", "lockName": "LOCK", "owner": "anonymous", "expiry": NOW + expiry}
    return step("GET", "", 200, held)


UNKNOWN = f"$: property 'colour' {ADDITIONAL}"
TOO_SHORT = "$.instanceId: must be at least 3 characters long"
PATTERN = "$.instanceId: does not match the regex pattern ^[a-zA-Z0-9_-]+$"
PAST = 4  # seconds after a lock of one second began: then it has ended

CASES = {
    "a path that leads nowhere": [
        step("GET", "", 404, {"message": "Resource not found", "errorId": ANY_ID}, path="/v1/SPACE/lock")
    ],
    "a GET of what wants a POST": [step("GET", "/acquire", 405, {"message": "Method not allowed", "errorId": ANY_ID})],
    "a lock that nobody holds is shown": [shown_free()],
    "a lock is taken and shown": [taken(), shown_held(90)],
    "a lock that another holds is refused": [taken(), refused("acquire")],
    "a lock is taken again by its holder, from now": [
        taken(),
        step("POST", "/acquire", 200, lock("worker-a", 40, 41), 1, asked("worker-a", 40)),
        shown_held(41),
    ],
    "acquire with a property too many": [
        invalid("acquire", asked("worker-a", 30, colour="red"), UNKNOWN),
        shown_free(),
    ],
    "renew with a property too many": [invalid("renew", asked("worker-a", 30, colour="red"), UNKNOWN)],
    "release with a property too many": [invalid("release", asked("worker-a", colour="red"), UNKNOWN)],
    "properties that are missing": [
        invalid("acquire", {"leaseDuration": 30}, "$: required property 'instanceId' not found"),
        invalid("renew", asked("worker-a"), "$: required property 'leaseDuration' not found"),
    ],
    "a type that is wrong": [
        invalid("acquire", asked("worker-a", "30"), "$.leaseDuration: string found, integer expected"),
        invalid("acquire", [], "$: array found, object expected"),
    ],
    "several faults in their order": [
        invalid(
            "acquire",
            {"leaseDuration": 0, "colour": "red", "instanceId": "!"},
            TOO_SHORT, PATTERN, "$.leaseDuration: must have a minimum value of 1", UNKNOWN,
        )  # fmt: skip
    ],
    "a lock's name that is too short": [
        step("GET", "", 400, bad_path("lockName", "Lock name must be between 3 and 64 characters long"),
             path="/v1/SPACE/lock/x")
    ],  # fmt: skip
    "a namespace that is too short": [
        step("GET", "", 400, bad_path("namespace", "Namespace must be between 3 and 64 characters long"),
             path="/v1/x/lock/LOCK")
    ],  # fmt: skip
    "a free lock is released": [released()],
    "a lock is released by its holder, and free": [taken(), released(), shown_free(), taken("worker-b", 20)],
    "a lock is not released by another": [taken(), refused("release"), shown_held(90)],
    "a renewal adds to what was": [
        taken(),
        step("POST", "/renew", 200, lock("worker-a", 150, 150), 0, asked("worker-a", 60)),
        shown_held(150),
    ],
    "a lock that nobody holds is not renewed": [refused("renew")],
    "a lock is not renewed by another": [taken(), refused("renew"), shown_held(90)],
    "a lock is free once it has ended": [taken(seconds=1), taken("worker-b", 20, now=PAST)],
    "a lock is not renewed once it has ended": [taken(seconds=1), refused("renew", "worker-a", now=PAST)],
    "a lock that has ended is released by anybody": [taken(seconds=1), released("worker-b", now=PAST)],
}


def steps_of(case, suffix):
    """Of that case, with names that are the case's own on a server where no other run has that suffix."""
    number = list(CASES).index(case)
    text = json.dumps(CASES[case])
    return json.loads(text.replace("SPACE", f"space-{suffix}").replace("LOCK", f"lock-{number}"))
