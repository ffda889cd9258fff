"""The long description of the package index: the README, whose links there have no checkout to be relative to."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class LongDescription(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        source = metadata["urls"]["Source"]
        text = Path(self.root, "README.md").read_text()
        text = re.sub(r"(!\[.*?\]\()(?!\w+:|#)", rf"\1{source}/raw/HEAD/", text)
        text = re.sub(r"((?<!!)\[[^\]]*\]\()(?!\w+:|#)", rf"\1{source}/blob/HEAD/", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
