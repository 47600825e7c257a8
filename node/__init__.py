"""OncoNode: a DICOM node that segments, measures and classifies tumours in CT and MR studies."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("onconode")
except PackageNotFoundError:  # running from a source tree that was never installed
    __version__ = "0.0.0+source"
