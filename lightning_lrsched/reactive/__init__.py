"""The schedules with a memory: what happens in training changes their curve."""
