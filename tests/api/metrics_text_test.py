#!/usr/bin/env python3
"""Reads /metrics of a server that has answered requests of every kind as Prometheus does, and checks that the text is
what its format demands: one HELP and one TYPE per family, before its series and with them in one piece; no series
twice; counters named _total and not negative; buckets cumulative, in order, the last one +Inf and equal to _count.

Usage: metrics_text_test.py PROGRAM
"""

import math
import re
import sys
import tempfile
import urllib.error
import urllib.request

from serving import serve

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SERIES = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
PARTS = ("_bucket", "_sum", "_count")
AT_MOST_SERIES = 2000


def parse_labels(text):
    labels, position = {}, 0
    while position < len(text):
        match = LABEL.match(text, position)
        assert match, f"labels can't be read: {text}"
        assert match[1] not in labels, f"a label twice: {text}"
        labels[match[1]] = match[2]
        position = match.end()
    return labels


class Family:
    def __init__(self, name):
        self.name, self.kind, self.series = name, None, {}


def family_of(name, families):
    for part in PARTS:
        base = name.removesuffix(part)
        if base != name and base in families and families[base].kind == "histogram":
            return families[base]
    assert name in families, f"a series without HELP: {name}"
    return families[name]


def parse(text):
    assert text.endswith("\n"), "the last line has no end"
    families, current = {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert re.fullmatch(NAME, name), line
            assert name not in families, f"HELP twice: {name}"
            current = families[name] = Family(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current.name and current.kind is None and not current.series, f"TYPE out of place: {line}"
            assert kind in ("counter", "gauge", "histogram"), line
            current.kind = kind
        else:
            match = SERIES.fullmatch(line)
            assert match, f"a line can't be read: {line}"
            assert family_of(match[1], families) is current, f"a series outside its family: {line}"
            key = (match[1], tuple(sorted(parse_labels(match[2] or "").items())))
            assert key not in current.series, f"a series twice: {line}"
            current.series[key] = float(match[3].replace("+Inf", "inf"))
    return families


def check_histogram(family):
    groups = {}
    for (name, labels), value in family.series.items():
        rest = tuple(label for label in labels if label[0] != "le")
        group = groups.setdefault(rest, {"buckets": []})
        if name.endswith("_bucket"):
            group["buckets"].append((float(dict(labels)["le"].replace("+Inf", "inf")), value))
        else:
            group[name.removeprefix(family.name)] = value
    for labels, group in groups.items():
        buckets = group["buckets"]
        assert buckets == sorted(buckets), f"buckets out of order: {family.name} {labels}"
        counts = [count for _, count in buckets]
        assert counts == sorted(counts), f"buckets are not cumulative: {family.name} {labels}"
        assert buckets[-1] == (math.inf, group["_count"]), f"+Inf is not the count: {family.name} {labels}"
        assert group["_sum"] >= 0 and (group["_count"] > 0 or group["_sum"] == 0), f"sum: {family.name} {labels}"


def check(text):
    families = parse(text)
    assert sum(len(family.series) for family in families.values()) <= AT_MOST_SERIES, "too many series"
    for family in families.values():
        assert family.kind, f"no TYPE: {family.name}"
        if family.kind == "counter":
            assert family.name.endswith("_total"), f"a counter's name: {family.name}"
        if family.kind != "gauge":
            assert all(value >= 0 for value in family.series.values()), f"negative: {family.name}"
        if family.kind == "histogram":
            check_histogram(family)
    return families


def expect_faults_are_found():
    """The checker itself, on texts that are wrong."""
    good = '# HELP a_total A.\n# TYPE a_total counter\na_total{x="1"} 1\n'
    buckets = '# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} %d\nh_sum 1\nh_count 3\n'
    check(good + buckets % 3)
    wrong = [good + good, good + 'a_total{x="1"} 2\n', good + "b 1\n", good.replace('"1"', '"1'), buckets % 2,
             buckets % 1, good.replace("a_total", "a"), good[:-1], good.replace("} 1", "} -1")]
    for text in wrong:
        try:
            check(text)
        except AssertionError:
            continue
        sys.exit(f"the checker does not find what is wrong with:\n{text}")


def ask(port, method, path, body=None, headers=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, headers=headers or {},
                                     data=body.encode() if body is not None else None)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def exercise(port):
    holder = '{"instanceId":"instance-%d","leaseDuration":60}'
    for instance in (1, 2):
        for call in ("acquire", "renew", "release"):
            ask(port, "POST", f"/v1/space/lock/abc/{call}", holder % instance)
    for path in ("/v1/space/lock/abc", "/v1/space/lock/a%22b", "/v1/%22/lock/abc", "/nowhere%0A", "/health", "/ready"):
        ask(port, "GET", path)
    for _ in range(2):
        _, lease = ask(port, "POST", "/lease", '{"key":"k\\"{}"}')
    ask(port, "POST", "/keepalive", lease or "12")
    ask(port, "BREW", "/lease")
    ask(port, "DELETE", "/lease", headers={"X-Request-Id": "a"})


def main(program):
    expect_faults_are_found()
    with tempfile.NamedTemporaryFile("w", suffix=".log") as errors:
        server, port = serve(program, errors)
        try:
            check(ask(port, "GET", "/metrics")[1])
            exercise(port)
            before = check(ask(port, "GET", "/metrics")[1])
            exercise(port)
            after = check(ask(port, "GET", "/metrics")[1])
        finally:
            server.terminate()
            server.wait(30)
    assert before.keys() == after.keys(), "families come and go"
    for name, family in before.items():
        if family.kind == "gauge":
            continue
        for key, value in family.series.items():
            assert after[name].series[key] >= value, f"fell: {key}"
    for name in ("shared_lock_http_requests_total", "shared_lock_http_request_duration_seconds",
                 "shared_lock_lock_operations_total", "process_cpu_seconds_total"):
        assert name in after, f"not there: {name}"
    print(f"{len(after)} families, {sum(len(family.series) for family in after.values())} series")


if __name__ == "__main__":
    main(sys.argv[1])
