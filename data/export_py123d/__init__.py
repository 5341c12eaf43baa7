"""Writing logs and maps as 123D's Arrow files, which py123d and `123d:ROOT` open."""
