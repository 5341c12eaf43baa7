"""HTML reports of evaluations."""

from swerve.eval.report.report_page import ReportOptions, write_report

__all__ = ["ReportOptions", "write_report"]
