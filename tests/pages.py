"""The catalogue and the API as pages: ``python -m tests.pages [FOLDER]`` makes them of the docstrings, with pdoc."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

import pdoc
from jinja2 import ChoiceLoader, DictLoader

import lightning_lrsched
from lightning_lrsched import LRSchedule
from tests.gallery import CALLS, catalogue, name, picture

# the package, and the folders whose docstrings are chapters
CHAPTERS = ["lightning_lrsched", *(f"lightning_lrsched.{folder}" for folder in ("fit", "reactive"))]
TEMPLATE = """
{% extends "default/module.html.jinja2" %}
{% macro is_public(doc) %}{{ "yes" if is_shown(doc) }}{% endmacro %}
"""


def is_shown(doc: pdoc.doc.Doc) -> bool:
    """Of a module what it exports, of a class its constructor and what it documents itself."""
    owner, _, own = doc.qualname.rpartition(".")
    if not owner:
        return doc.modulename == "lightning_lrsched" and own in lightning_lrsched.__all__ and own != "__version__"
    new = owner == "LRSchedule" or not hasattr(LRSchedule, own)
    return own == "__init__" or (new and own[0] != "_" and bool(doc.docstring))


def image(call: str) -> str:
    return f'<img alt="{name(call)}" src="pictures/{name(call)}.svg">'


def illustrate() -> None:
    """Put the pictures into the docstrings."""
    lightning_lrsched.__doc__ = f"{lightning_lrsched.__doc__}\n<figure>{catalogue()}</figure>\n"
    for call in CALLS:
        schedule = getattr(lightning_lrsched, name(call))
        summary, _, rest = (inspect.getdoc(schedule) or "").partition("\n")
        rest = rest.replace("~lightning_lrsched.", "")
        schedule.__doc__ = f"{summary}\n\n{image(call)}<br>`{call}`\n{rest}"
        signature = inspect.signature(schedule.__init__)  # without the type of **common, which its text explains
        own = [p.replace(annotation=p.empty) if p.kind is p.VAR_KEYWORD else p for p in signature.parameters.values()]
        schedule.__init__.__signature__ = signature.replace(parameters=own)


def main(folder: str = "pages") -> None:
    illustrate()
    env, pages = pdoc.render.env, Path(folder)
    pdoc.render.configure(docformat="google", show_source=False)
    env.loader = ChoiceLoader([DictLoader({"module.html.jinja2": TEMPLATE}), env.loader])
    env.globals["is_shown"] = is_shown
    pdoc.pdoc(*CHAPTERS, "!lightning_lrsched[.](fit|reactive)[.].*", output_directory=pages)
    (pages / "pictures").mkdir(exist_ok=True)
    for call in CALLS:
        (pages / "pictures" / f"{name(call)}.svg").write_text(picture(call))
    print(pages / "lightning_lrsched.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
