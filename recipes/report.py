"""Writes the tables of recipes/README.md anew, from the figures that the comparisons have left in recipes/results.

python -m recipes.compare --logdir lightning_logs/digits && cp lightning_logs/digits/summary.json recipes/results/digits.json
python -m recipes.gpt compare --logdir lightning_logs/gpt && cp lightning_logs/gpt/summary.json recipes/results/gpt.json
python -m recipes.report
"""  # noqa: E501 (commands to copy)

from __future__ import annotations

import re
from pathlib import Path

from recipes.lab import Summary

FOLDER = Path(__file__).parent
README = FOLDER / "README.md"
TASKS = {"digits": "on digits", "gpt": "on the language model"}
BLOCK = re.compile(r"(<!-- report: (\w+)(?: (.*?))? -->\n).*?(<!-- /report -->)", re.DOTALL)


def claims(summaries: dict[str, Summary]) -> list[str]:
    """A table: what is said, and what came of it on each task."""
    found = {name: {claim.text: str(claim) for claim in summary.claims} for name, summary in summaries.items()}
    texts = dict.fromkeys(text for outcomes in found.values() for text in outcomes)
    rows = [[text, *(outcomes.get(text, "") for outcomes in found.values())] for text in texts]
    return [f"| {' | '.join(row)} |" for row in [["what is said", *TASKS.values()], ["---"] * 3, *rows]]


def with_tables(readme: str) -> str:
    """The text with each of its blocks as the figures have it."""
    summaries = {name: Summary.load(FOLDER / f"results/{name}.json") for name in TASKS}

    def block(match: re.Match[str]) -> str:
        begin, name, title, end = match.groups()
        lines = claims(summaries) if name == "claims" else [f"    {line}" for line in summaries[name].lines(title)]
        return "\n".join([begin, *lines, "", end])

    return BLOCK.sub(block, readme)


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text()))
