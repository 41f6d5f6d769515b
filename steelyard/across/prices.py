"""What an hour of a device costs, as the user says it; the currency is carried and never converted."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.errors import UsageError

_PRICE = re.compile(
    r"^(?P<device>.+?)\s*=\s*(?P<before>[^\d\s.=/+-]*)\s*(?P<amount>\d+(?:\.\d+)?)\s*(?P<after>[^\d\s./+-]*)\s*/\s*(?:hour|h)$"
)
FORM = "DEVICE=AMOUNT/hour with the currency before or after the amount, e.g. 'H100=2.99 USD/hour'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The price of an hour of every device whose name is or contains `device`; `currency` may be empty."""

    device: str
    per_hour: float
    currency: str


def parse_prices(texts: Iterable[str]) -> tuple[Price, ...]:
    """Prices from the command line: `DEVICE=AMOUNT/hour`, or the path of a TOML file. Raises UsageError."""
    found: list[Price] = []
    for text in texts:
        found += _file(Path(text)) if text.endswith(".toml") else [_price(text)]
    currencies = sorted({price.currency for price in found})
    if len(currencies) > 1:
        told = ", ".join(currency or "none" for currency in currencies)
        raise UsageError(f"prices in several currencies ({told}); give all of them in one")
    return tuple(found)


def price_of(prices: Sequence[Price], device: str) -> Price | None:
    """The price of a device: that of its whole name before that of a part of it.

    Raises UsageError where two prices fit equally well.
    """
    name = device.casefold()
    for fits in (
        [price for price in prices if price.device.casefold() == name],
        [price for price in prices if price.device.casefold() in name],
    ):
        if len(fits) > 1:
            told = " and ".join(f"'{price.device}'" for price in fits)
            raise UsageError(f"the prices of {told} both fit the device '{device}'; name it in full")
        if fits:
            return fits[0]
    return None


def check_used(prices: Sequence[Price], devices: Sequence[str]) -> None:
    """Raises UsageError for a price that fits no device."""
    for price in prices:
        if not any(price.device.casefold() in device.casefold() for device in devices):
            raise UsageError(f"--price '{price.device}' fits none of the devices: {', '.join(devices)}")


def _price(text: str) -> Price:
    match = _PRICE.match(text.strip())
    if match is None or (match["before"] and match["after"]):
        raise UsageError(f"--price '{text}' is not of the form {FORM}")
    return Price(device=match["device"], per_hour=float(match["amount"]), currency=match["before"] or match["after"])


def _file(path: Path) -> list[Price]:
    """A TOML file: `currency = "USD"` and a table `per_hour` of amounts by device."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--price {path}: cannot be read: {error}") from error
    currency, amounts = document.get("currency", ""), document.get("per_hour")
    if not isinstance(currency, str) or not isinstance(amounts, dict) or set(document) - {"currency", "per_hour"}:
        raise UsageError(f'--price {path}: write currency = "USD" and a table [per_hour] of amounts by device')
    for device, amount in amounts.items():
        if not isinstance(amount, int | float) or isinstance(amount, bool) or not 0 <= amount < float("inf"):
            raise UsageError(f"--price {path}: the price of '{device}' is not an amount: {amount}")
    return [Price(device=device, per_hour=float(amount), currency=currency) for device, amount in amounts.items()]
