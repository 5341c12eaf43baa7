"""Descriptions of what `swerve view` and `swerve record` show, of everything that Swerve reads or makes."""
