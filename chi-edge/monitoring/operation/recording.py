"""Recorded series, put into the queries that ask for them: the same answer, and no database has to hold them."""

import re
from collections.abc import Mapping

import check_rules


class RecordError(Exception):
    """Why a recorded series cannot be put into a query; a sentence."""


def records() -> dict[str, str]:
    """Every recorded series and its expression."""
    return {rule["record"]: rule["expr"].strip() for rule in check_rules.rules() if "record" in rule}


def inline(query: str, known: Mapping[str, str]) -> str:
    """`query` with the expression of each recorded series in place of its name."""
    for name, expression in known.items():
        pattern = rf"(?<![\w:]){re.escape(name)}(?![\w:])"
        if re.search(pattern + r"\s*[{\[]", query):
            raise RecordError(f"{name} has a matcher or a range in {query!r}; an operation can be asked only for the series as it is recorded")
        # In a replacement a backslash means something.
        query = re.sub(pattern, f"({expression})".replace("\\", r"\\"), query)
    return query
