"""The report: one model, read from the result files, and its three renderings."""

from dlclaims.report.checking import check
from dlclaims.report.model import Report
from dlclaims.report.reading import build
from dlclaims.report.writing import write

__all__ = ["Report", "build", "check", "write"]
