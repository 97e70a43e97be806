"""What a PromQL query names: its metrics, and its selectors with their label matchers.

Prometheus itself decides whether a query is right (`check_live.py` asks it). This only finds names.
"""

import re

# Between name and matcher there is no space in this tree.
_SELECTOR = re.compile(r"\b([a-zA-Z_][a-zA-Z0-9_]*(?::[a-zA-Z0-9_]+)*)(\{[^}]*\})?")
# Words that look like metrics and are none: operators, modifiers, and functions, which a bracket follows.
_WORDS = frozenset({"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "inf", "nan"})
_LABELS = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
# The name of a label that is an argument, as of count_values.
_TEXT = re.compile(r'\(\s*"[^"]*"\s*,')
_DURATION = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")


def selectors(query: str) -> list[str]:
    """Every selector of `query`, as it stands there, without range and offset."""
    text = _DURATION.sub(" ", _LABELS.sub(" ", _TEXT.sub("(", query)))
    found = []
    position = 0
    while match := _SELECTOR.search(text, position):
        position = match.end()
        name, after = match.group(1), text[match.end():].lstrip()
        if name.lower() in _WORDS or (after.startswith("(") and not match.group(2)):
            continue
        found.append(match.group(0))
    return found


def metrics(query: str) -> set[str]:
    """The names of the metrics in `query`."""
    return {selector.split("{")[0] for selector in selectors(query)}
