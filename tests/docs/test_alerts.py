"""The examples of alerts name metrics and labels that the node has."""

import re
from pathlib import Path

import pytest
import yaml

from node.telemetry.metrics import METRICS, known_sample_names

FILE = Path(__file__).parents[2] / "deploy/prometheus/alerts.yml"
DOCUMENT = yaml.safe_load(FILE.read_text("utf-8"))
RULES = [rule for group in DOCUMENT["groups"] for rule in group["rules"]]
SELECTOR = re.compile(r"(onconode_\w+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
ADDED_BY_PROMETHEUS = {"job", "instance", "le"}


def labels_of(sample: str) -> set[str]:
    for name, metric in METRICS.items():
        if sample in metric.sample_names(name):
            return set(metric.labels) | ADDED_BY_PROMETHEUS
    raise AssertionError(sample)


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_rule_names_what_exists(rule):
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
    named = SELECTOR.findall(rule["expr"])
    assert named or rule["expr"].startswith("up{")
    for sample, selectors in named:
        assert sample in known_sample_names(), sample
        assert set(LABEL.findall(selectors)) <= labels_of(sample), sample
    told = re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))
    known = set.union(set(), *(labels_of(sample) for sample, _ in named))
    assert set(told) <= known


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_brackets_of_the_expression_close_in_order(rule):
    waiting = []
    for character in re.sub(r'"[^"]*"', "", rule["expr"]):
        if character in "([{":
            waiting.append({"(": ")", "[": "]", "{": "}"}[character])
        elif character in ")]}":
            assert waiting, rule["expr"]
            assert character == waiting.pop()
    assert not waiting


def test_a_name_that_is_none_would_be_found():
    assert "onconode_jobs" in known_sample_names()
    assert "onconode_jbos" not in known_sample_names()
    assert "onconode_instances_sent" not in known_sample_names()  # Prometheus adds _total


def test_names_are_unique():
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
