"""Reads a Dockerfile. Of all that may stand in one it knows what ours says; whatever else is an error."""

import json
import re
import shlex
from dataclasses import dataclass, field

# Each instruction, and the flags that it may have.
KNOWN = {
    "ARG": (), "CMD": (), "COPY": ("from",), "ENTRYPOINT": (), "ENV": (), "EXPOSE": (), "FROM": (),
    "HEALTHCHECK": ("interval", "timeout", "start-period", "retries"), "RUN": (), "USER": (), "VOLUME": (),
    "WORKDIR": (),
}


class Unknown(Exception):
    """It says what we don't know."""


@dataclass
class Step:
    name: str
    text: str  # what follows name and flags
    flags: dict[str, str]


@dataclass
class Stage:
    name: str
    image: str
    steps: list[Step] = field(default_factory=list)


def steps(text):
    """Its instructions in their order, with continued lines joined."""
    lines = "\n".join(line for line in text.splitlines() if not re.match(r"\s*#", line))
    found = []
    for line in re.sub(r"\\[ \t]*\n", " ", lines).splitlines():
        if not line.strip():
            continue
        name, _, rest = line.strip().partition(" ")
        name, rest, flags = name.upper(), rest.strip(), {}
        if name not in KNOWN:
            raise Unknown(f"the instruction of: {line.strip()}")
        while flag := re.match(r"--([\w-]+)=(\S+)\s+", rest):
            flags[flag[1]] = flag[2]
            rest = rest[flag.end():]
        if rest.startswith("--") or not flags.keys() <= set(KNOWN[name]):
            raise Unknown(f"a flag of: {line.strip()}")
        if name in ("RUN", "COPY") and "<<" in rest:
            raise Unknown(f"the text that follows: {line.strip()}")
        found.append(Step(name, rest, flags))
    return found


def stages(text):
    found = []
    for step in steps(text):
        if step.name == "FROM":
            origin = re.fullmatch(r"(\S+)(?:\s+AS\s+(\S+))?", step.text, re.IGNORECASE)
            if not origin:
                raise Unknown(f"FROM {step.text}")
            found.append(Stage(origin[2] or "", origin[1]))
        elif not found:
            raise Unknown(f"before the first FROM: {step.name} {step.text}")
        else:
            found[-1].steps.append(step)
    return found


def expanded(text, variables):
    """With the values of its $NAME and ${NAME}; nothing for those that have none."""
    if re.search(r"\\\$|\$(?!\w|\{\w+\})", text):
        raise Unknown(f"what the dollar means in: {text}")
    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", lambda name: variables.get(name[1] or name[2], ""), text)


def pairs(text, variables):
    """Of ENV: NAME=VALUE, with quotes as in a shell."""
    words = [word.partition("=") for word in shlex.split(expanded(text, variables))]
    if not all(equals for _, equals, _ in words):
        raise Unknown(f"ENV {text}")
    return {name: value for name, _, value in words}


def command(text):
    """Of RUN, CMD, ENTRYPOINT: a list of words, or text for the shell."""
    return json.loads(text) if text.startswith("[") else ["/bin/sh", "-c", text]
