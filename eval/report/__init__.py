"""Results as a page for people."""

from swerve.eval.report.page import ReportOptions, write_report

__all__ = ["ReportOptions", "write_report"]
