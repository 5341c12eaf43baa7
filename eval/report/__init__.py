"""HTML reports of evaluations."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.eval.report.report_page import ReportOptions, write_report

__all__ = ["ReportOptions", "write_report"]

make_lazy(__name__)
