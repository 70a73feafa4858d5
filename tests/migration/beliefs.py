"""Whether two clients can have believed at one moment to hold the same lock: what no client may ever see, whichever
servers it asked."""

from dataclasses import dataclass


@dataclass
class Belief:
    """From the answer of its acquire until `end` a client takes itself for the holder. Moments: time.monotonic()."""

    resource: str
    client: str
    server: str  # that granted it
    begin: float
    end: float
    asked: float = 0.0  # when the acquire was sent
    token: int = 0  # as that server said it; 0: it says none

    def __str__(self):
        token = f", token {self.token}" if self.token else ""
        return f"{self.client} by {self.server} from {self.begin:.3f} to {self.end:.3f}{token}"


def _of_each_resource(beliefs):
    found = {}
    for belief in sorted(beliefs, key=lambda belief: belief.begin):
        found.setdefault(belief.resource, []).append(belief)
    return found


def overlaps(beliefs):
    """A sentence for each belief that began while another about the same resource went on."""
    said = []
    for resource, each in _of_each_resource(beliefs).items():
        longest = None
        for belief in each:
            if longest and belief.begin < longest.end:
                said.append(f"{resource}: two holders: {longest}; {belief}")
            if not longest or belief.end > longest.end:
                longest = belief
    return said


def tokens_going_back(beliefs):
    """A sentence for each token that is not above those which were known when its acquire was sent."""
    said = []
    for resource, each in _of_each_resource(belief for belief in beliefs if belief.token).items():
        for belief in each:
            before = [other for other in each if other.begin <= belief.asked]
            highest = max(before, key=lambda other: other.token, default=None)
            if highest and highest.token >= belief.token:
                said.append(f"{resource}: a token goes back: {highest}; {belief}")
    return said
