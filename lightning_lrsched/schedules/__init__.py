"""The schedules, one family a file: formula and docstring, no torch, no Lightning."""
