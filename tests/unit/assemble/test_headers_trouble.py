"""Trouble of the machine is not a fault of the file."""

import errno

import pytest
from pydicom import dcmread

from node.assemble import headers
from node.assemble.headers import read_header
from node.domain.errors import InputRejected, TryLater
from node.emulate.phantom import write_case


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_case("brain2", tmp_path_factory.mktemp("series")).paths[0]


def raising(number: int):
    def read(*_args, **_kwargs):
        raise OSError(number, "told by the test")

    return read


def test_a_machine_out_of_descriptors_may_try_again(path, monkeypatch):
    monkeypatch.setattr(headers, "dcmread", raising(errno.EMFILE))
    with pytest.raises(TryLater, match="told by the test"):
        read_header(path)


def test_a_file_that_may_not_be_read_is_refused(path, monkeypatch):
    monkeypatch.setattr(headers, "dcmread", raising(errno.EACCES))
    with pytest.raises(InputRejected, match="unreadable-header"):
        read_header(path)


def test_a_damaged_instance_number_counts_as_none(path, tmp_path):
    dataset = dcmread(path)
    dataset.InstanceNumber = [1, 2]
    dataset.save_as(tmp_path / "damaged.dcm", enforce_file_format=True)
    assert read_header(tmp_path / "damaged.dcm").order == 0
