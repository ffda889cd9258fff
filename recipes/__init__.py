"""Runnable examples of `lightning_lrsched`."""
