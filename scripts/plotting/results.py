"""The stored results of bench/results (bench/density/stored.h), as plain values."""

import dataclasses
import json
import pathlib


@dataclasses.dataclass(frozen=True)
class Result:
    name: str
    value: float
    unit: str
    target: tuple  # ("at_most" or "at_least", number), or () where it is only reported
    details: dict
    date: str
    quiet: bool


def target_of(text):
    """ "<=40" is ("at_most", 40.0); "report" and what nobody understands is ()."""
    for sign, kind in (("<=", "at_most"), (">=", "at_least")):
        if text.startswith(sign):
            try:
                return kind, float(text[len(sign):])
            except ValueError:
                return ()
    return ()


def parse(text):
    """One file's result. Raises ValueError with what is wrong."""
    try:
        root = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error}") from None
    if not isinstance(root, dict) or not isinstance(root.get("figure"), str):
        raise ValueError('no "figure"')
    value = root.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError('no number "value"')
    details, measured = root.get("details"), root.get("measured")
    measured = measured if isinstance(measured, dict) else {}
    return Result(
        name=root["figure"],
        value=float(value),
        unit=str(root.get("unit", "")),
        target=target_of(str(root.get("target", ""))),
        details=details if isinstance(details, dict) else {},
        date=str(measured.get("date", "")),
        quiet=measured.get("quiet") is True,
    )


def load(directory):
    """(results by figure, sentences about files that are none)."""
    results, wrong = {}, []
    for file in sorted(pathlib.Path(directory).glob("*.json")):
        try:
            result = parse(file.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            wrong.append(f"{file.name}: {error}")
            continue
        results[result.name] = result
    return results, wrong
