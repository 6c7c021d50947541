"""What calls cost: a price table with its date, and the arithmetic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kl_core.errors import InputError
from kl_core.sources.gemini_wire import same_model

TABLE = Path(__file__).with_name("prices.json")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; None where nobody knows.

    Attributes:
        date: of the table the price comes from; "" for one given by the user.
    """

    input: float | None
    output: float | None
    date: str = ""

    def cost(self, input_tokens: int, output_tokens: int) -> float | None:
        """Dollars for so many tokens, None where the price is not known."""
        if self.input is None or self.output is None:
            return None
        return (input_tokens * self.input + output_tokens * self.output) / 1e6


def price_of(
    model: str,
    batch: bool,
    input_price: float | None = None,
    output_price: float | None = None,
    table: Path = TABLE,
) -> Price:
    """The price of a model: what the user says, else the table's, halved for batch jobs.

    A price the user gives is taken as it is, for batch jobs too.

    Raises:
        InputError: the table is not readable as one.
    """
    try:
        record = json.loads(table.read_text(encoding="utf-8"))
        factor = float(record["batch_factor"]) if batch else 1.0
        rows = {
            name: (float(row["input"]) * factor, float(row["output"]) * factor)
            for name, row in record["models"].items()
        }
        date = str(record["date"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"the price table {table} cannot be read ({error}); mend it or give --input-price and "
            "--output-price"
        ) from error
    found = [rows[name] for name in sorted(rows, key=len, reverse=True) if same_model(name, model)]
    known = found[0] if found else (None, None)
    from_user = input_price is not None and output_price is not None
    return Price(
        known[0] if input_price is None else input_price,
        known[1] if output_price is None else output_price,
        date if found and not from_user else "",
    )


FREE = Price(0.0, 0.0)
"""A server of this machine."""
