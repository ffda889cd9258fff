"""What every test starts from."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True)
def lightning_speaks() -> None:
    """A recipe that ran before has silenced Lightning's infos, which are the package's too."""
    logging.getLogger("lightning.pytorch").setLevel(logging.INFO)
