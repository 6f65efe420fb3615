"""The values of a report in the words and numbers of one language."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.report.document import Cell, Words

YES = Words("sim", "yes")
NO = Words("não", "no")


@dataclass(frozen=True)
class Wording:
    """One language: `pt` or `en`."""

    language: str

    def say(self, words: Words) -> str:
        """The text, with its values put in."""
        text = words.pt if self.language == "pt" else words.en
        return text.format(*map(self.cell, words.values)) if words.values else text

    def cell(self, value: Cell) -> str:
        """Anything that a table holds; `-` for nothing."""
        if value is None:
            return "-"
        if isinstance(value, Words):
            return self.say(value)
        if isinstance(value, bool):
            return self.say(YES if value else NO)
        return value if isinstance(value, str) else self.number(value)

    def number(self, value: float) -> str:
        """Whole numbers as they are, others with three digits that count."""
        if value == int(value) or abs(value) >= 100:
            text = f"{value:,.0f}"
        elif abs(value) >= 10:
            text = f"{value:.1f}"
        else:
            text = f"{value:.2f}" if abs(value) >= 0.01 else f"{value:.4f}"
        if self.language == "pt":
            text = text.translate(str.maketrans(",.", ".,"))
        return text
