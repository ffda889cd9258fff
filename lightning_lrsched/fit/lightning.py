"""Lightning is two packages, ``lightning.pytorch`` and ``pytorch_lightning``, with classes of their own each.

A Trainer or LightningCLI accepts callbacks of its own package only, so ours are callbacks of both, and what they raise
is caught by the name that either package has for it. Who has imported nothing but ``lightning.pytorch`` when this
package is imported means that one, and is spared the other.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if not TYPE_CHECKING and ("pytorch_lightning" in sys.modules or "lightning.pytorch" not in sys.modules):
    import pytorch_lightning  # before lightning.pytorch, for messages go to the logger of the last one
    from lightning.fabric.utilities import exceptions
    from lightning.pytorch import Callback as LightningCallback
    from lightning_fabric.utilities import exceptions as other_exceptions

    class Callback(LightningCallback, pytorch_lightning.Callback):
        """A callback for the Trainers of both packages."""

    class MisconfigurationException(exceptions.MisconfigurationException, other_exceptions.MisconfigurationException):
        """What both packages call so."""

else:
    from lightning.fabric.utilities.exceptions import MisconfigurationException
    from lightning.pytorch import Callback

__all__ = ["Callback", "MisconfigurationException"]
