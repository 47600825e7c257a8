"""Every metric is documented, with its labels and its meaning, and no other."""

from test_docs_in_sync import CONFIG_README, table_rows

from node.telemetry.metrics import METRICS

SUFFIX = {"counter": "_total", "info": "_info"}


def test_every_metric_is_documented_and_no_other():
    documented = table_rows(CONFIG_README, "`observer.refused`.")
    assert documented == [
        [
            name + SUFFIX.get(metric.kind, ""),
            ", ".join(f"`{label}`" for label in metric.labels).strip("`") or "-",
            metric.help,
        ]
        for name, metric in METRICS.items()
    ]
