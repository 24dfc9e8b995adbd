"""Which column names promise an identifier."""

import re

_WORDS = frozenset(
    {"id", "ids", "key", "code", "uuid", "guid", "number", "nr", "no", "num", "sk", "pk", "ref", "reference", "sku", "index",
     "identifier", "isbn", "ean", "iban"}
)  # fmt: skip
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_JOINED = re.compile(r"(?i)[a-z]{2}(key|uuid|_?nr)$|[a-z]{3}id$")


def promises_key(name: str) -> bool:
    """Whether a name says that its column holds identifiers: `order_id`, `OrderID`, `custkey`, `invoice_no`."""
    words = {w.lower() for w in _WORD.findall(name)}
    return bool(words & _WORDS) or bool(_JOINED.search(name) and not re.search(r"(?i)paid$|valid$|grid$|void$", name))
