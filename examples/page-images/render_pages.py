"""Render passages of a task as page images, in the layout of MIRACL-VISION's repository.

    pip install 'polyglot-harness[images]' justmytype-western-core justmytype-intl-rtl \
        justmytype-intl-cjk justmytype-intl-sea justmytype-intl-south-asia
    python examples/page-images/render_pages.py pages --data-dir DATA --questions 20
    harness run --task miracl-vision --data-dir pages --model hub:ORG/NAME
    harness run --task miracl-vision --data-dir pages --model hub:ORG/NAME --text title-newline-text

The fonts are Noto Sans, whose packs cover the scripts of MIRACL's 18 languages; `--fonts` names
another folder. Complex scripts need a Pillow with Raqm, which its wheels have.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow
from PIL import Image, ImageDraw, ImageFont, features
from pyarrow import parquet

from harness.data.loading import load
from harness.data.task import find_task

PACKS = ("western_core", "intl_rtl", "intl_cjk", "intl_sea", "intl_south_asia")
FONTS = {
    "ar": "NotoSansArabic", "fa": "NotoSansArabic", "bn": "NotoSansBengali",
    "hi": "NotoSansDevanagari", "te": "NotoSansTelugu", "th": "NotoSansThai",
    "ja": "NotoSansJP", "ko": "NotoSansKR", "zh": "NotoSansSC",
}  # fmt: skip
RIGHT_TO_LEFT = ("ar", "fa")
UNSPACED = ("ja", "th", "zh")
MARGIN, LINE, SIZE = 24, 1.5, 18


def font_files(folder: Path | None) -> dict[str, Path]:
    """Name without style -> file."""
    folders = [folder] if folder else []
    for pack in () if folder else PACKS:
        found = importlib.util.find_spec(f"justmytype_{pack}")
        if found is not None and found.submodule_search_locations:
            folders += map(Path, found.submodule_search_locations)
    files = [x for at in folders for x in sorted(at.rglob("*.ttf")) if "Italic" not in x.name]
    return {x.name.partition("[")[0].partition("-")[0].removesuffix(".ttf"): x for x in files}


def lines(text: str, font: ImageFont.FreeTypeFont, width: int, *, unspaced: bool) -> Iterator[str]:
    """``text`` cut into lines that fit."""
    for paragraph in text.split("\n"):
        line = ""
        for part in paragraph if unspaced else [f"{x} " for x in paragraph.split()]:
            if line and font.getlength(line + part) > width:
                yield line
                line = ""
            line += part
        yield line


def page(text: str, font: ImageFont.FreeTypeFont, side: int, language: str) -> bytes:
    """A square PNG with as much of a text as fits."""
    picture = Image.new("L", (side, side), 255)
    draw = ImageDraw.Draw(picture)
    room, y = side - 2 * MARGIN, float(MARGIN)
    rtl = language in RIGHT_TO_LEFT
    for line in lines(text, font, room, unspaced=language in UNSPACED):
        if y + LINE * SIZE > side - MARGIN:
            break
        at = (side - MARGIN, y) if rtl else (MARGIN, y)
        draw.text(at, line, 0, font, anchor="ra" if rtl else "la")
        y += LINE * SIZE
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def write(path: Path, rows: list[dict[str, object]]) -> None:
    """A table, some images at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=100)


def main() -> None:
    """Render the passages of one task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--task", default="miracl")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--questions", type=int, default=20, help="of each language")
    parser.add_argument("--passages", type=int, default=100, help="of each language")
    parser.add_argument("--side", type=int, default=490, help="of a page, in pixels")
    parser.add_argument("--fonts", type=Path)
    given = parser.parse_args()
    if not features.check("raqm"):
        parser.error("this Pillow has no Raqm, without which complex scripts are set wrongly")
    files = font_files(given.fonts)
    spec = find_task(given.task, text="title-newline-text")
    for language in spec.languages:
        name = FONTS.get(language, "NotoSans")
        if name not in files:
            parser.error(f"no font {name} for {language}: install its pack, or give --fonts")
        font = ImageFont.truetype(str(files[name]), SIZE)
        data = load(spec, languages=[language], data_dir=given.data_dir, limit=given.questions,
                    sampled=True, offline=True)  # fmt: skip
        judged = {x: y for x, y in data.qrels.items() if any(g > 0 for g in y.values())}
        needed = {x.partition(":")[2] for y in judged.values() for x in y}
        texts = {x.id: x.text for x in data.corpora[language].read()}
        kept = [x for x in texts if x in needed]
        kept += [x for x in texts if x not in needed][: max(0, given.passages - len(kept))]
        folder = given.output / "miracl-vision" / language
        queries = data.queries[language]
        write(folder / "queries.parquet", [
            {"_id": x.partition("-")[2], "text": y}
            for x, y in zip(queries.ids, queries.texts, strict=True)
        ])  # fmt: skip
        titled = {x: texts[x].partition("\n") for x in kept}
        write(folder / "corpus.parquet", [
            {"_id": x, "title": title, "text": text, "image_id": f"{number}.png"}
            for number, (x, (title, _, text)) in enumerate(titled.items())
        ])  # fmt: skip
        write(folder / "images.parquet", [
            {"file_name": f"{n}.png", "image": {"bytes": page(texts[x], font, given.side, language),
                                                "path": f"{n}.png"}}
            for n, x in enumerate(kept)
        ])  # fmt: skip
        write(folder / "qrels.parquet", [
            {"query-id": q.partition("-")[2], "corpus-id": x.partition(":")[2], "score": grade}
            for q, y in judged.items() for x, grade in y.items() if x.partition(":")[2] in texts
        ])  # fmt: skip
        print(f"{language}: {len(queries)} questions, {len(kept)} pages in {name}")


if __name__ == "__main__":
    main()
