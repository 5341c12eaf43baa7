"""Options of every command, one module each. They import little, so that help is fast."""
