"""The log: one JSON object a line, whoever writes, and no patient in it."""

import io
import json
import logging
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import structlog
from pydicom.dataset import Dataset

from node.config.settings import LogSettings
from node.telemetry.log import QUIET, configure_logging


@pytest.fixture(autouse=True)
def _restore_logging():
    root = logging.getLogger()
    handlers, level, show = root.handlers[:], root.level, warnings.showwarning
    yield
    root.handlers[:], warnings.showwarning = handlers, show
    root.setLevel(level)
    structlog.reset_defaults()


def written(write, *, level="INFO", json_lines=True):
    stream = io.StringIO()
    configure_logging(
        LogSettings(level=level, json_lines=json_lines), process="listener", stream=stream
    )
    write()
    return stream.getvalue()


def lines(write, **options):
    return [json.loads(line) for line in written(write, **options).splitlines()]


def node_log():
    return structlog.get_logger("node.receive.c_store")


def test_a_line_is_json_with_event_context_level_time_and_process():
    (line,) = lines(lambda: node_log().info("instance.stored", sop_instance_uid="1.2.3"))
    assert line["event"] == "instance.stored"
    assert line["sop_instance_uid"] == "1.2.3"
    assert line["level"] == "info"
    assert line["process"] == "listener"
    assert line["pid"] == os.getpid()
    assert line["logger"] == "node.receive.c_store"
    assert line["timestamp"].endswith("Z")


def test_level_filters_the_nodes_own_loggers():
    def write():
        node_log().info("too.low")
        node_log().warning("high.enough")

    assert [line["event"] for line in lines(write, level="WARNING")] == ["high.enough"]


def test_standard_loggers_come_out_in_the_same_form():
    (line,) = lines(lambda: logging.getLogger("some.library").warning("disk %s", "slow"))
    assert (line["event"], line["logger"], line["level"]) == (
        "disk slow",
        "some.library",
        "warning",
    )


@pytest.mark.parametrize("library", sorted(QUIET))
def test_libraries_that_dump_data_stay_quiet_even_at_debug(library):
    def write():
        logging.getLogger(library).debug("PatientName: Doe^Jane")
        logging.getLogger(f"{library}.inner").info("PatientName: Doe^Jane")

    assert written(write, level="DEBUG") == ""


def test_patient_keys_and_rich_values_are_withheld():
    dataset = Dataset()
    dataset.PatientName = "Doe^Jane"

    def write():
        node_log().info(
            "bad.idea",
            PatientName="Doe^Jane",
            patient_id="PATIENT-SEVEN",
            dataset=dataset,
            pixels=np.full(3, 987654321),
            nested={"patient_birth_date": "19700101", "count": 2},
            items=[dataset, 7],
        )

    text = written(write)
    # None of these can occur by chance in the time of the line.
    for secret in ("Doe", "PATIENT-SEVEN", "987654321", "19700101"):
        assert secret not in text
    line = json.loads(text)
    assert line["dataset"] == "[Dataset]"
    assert line["nested"]["count"] == 2
    assert line["items"] == ["[Dataset]", 7]


def test_traceback_has_no_local_variables():
    def write():
        name = "Doe^Jane"
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            node_log().exception("stage.failed", length=len(name))

    for json_lines in (True, False):
        text = written(write, json_lines=json_lines)
        assert "RuntimeError" in text
        assert "Doe" not in text


@pytest.mark.parametrize("json_lines", [True, False])
def test_text_of_an_error_may_quote_a_data_set_and_is_left_out(json_lines):
    def fail():
        try:
            raise ValueError("Invalid value for VR DA: 'Doe^Jane'")
        except ValueError as error:
            error.add_note("read of PATIENT-SEVEN")
            raise ExceptionGroup("of 19700101", [KeyError("987654321")]) from error

    def write():
        try:
            fail()
        except ExceptionGroup:
            node_log().exception("stage.failed")

    text = written(write, json_lines=json_lines)
    for secret in ("Doe", "PATIENT-SEVEN", "19700101", "987654321"):
        assert secret not in text
    for told in ("stage.failed", "ValueError", "ExceptionGroup", "test_log.py", "fail"):
        assert told in text


def test_an_error_that_a_library_gives_as_its_message_keeps_its_type():
    def write():
        error = ValueError("Invalid value 'Doe^Jane'")
        logging.getLogger("pynetdicom.events").error(error)
        logging.getLogger("some.library").error("failed: %s", 7)

    first, second = lines(write)
    assert (first["event"], second["event"]) == ("ValueError", "failed: 7")


def test_warning_of_a_dicom_library_keeps_its_place_but_not_its_text():
    def write():
        warnings.warn_explicit("Invalid value 'Doe^Jane'", UserWarning, "/x/pydicom/valuerep.py", 7)
        warnings.warn_explicit("plain words", UserWarning, "/x/scipy/io.py", 8)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        first, second = lines(write)
    assert "Doe" not in first["event"]
    assert "valuerep.py:7" in first["event"]
    assert "plain words" in second["event"]


def test_text_form_is_not_json():
    text = written(lambda: node_log().warning("instance.stored", port=104), json_lines=False)
    assert "instance.stored" in text
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


def test_dask_does_not_lower_its_level_again_when_it_is_imported():
    code = (
        "from node.telemetry.log import configure_logging\n"
        "from node.config.settings import LogSettings\n"
        "configure_logging(LogSettings(level='DEBUG'), process='worker')\n"
        "import logging, distributed.config\n"
        "print(logging.getLogger('distributed').level, "
        "logging.getLogger('distributed').handlers)\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DASK_")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == f"{logging.WARNING} []"
