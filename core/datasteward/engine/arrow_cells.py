"""Arrow columns as exact cells; the rules stand in `cells.py`."""

import math
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from datasteward.engine.cells import Cell

SAFE_INTEGER = 2**53 - 1
_MICROS_OF_DAY = 86_400_000_000
_DATE_INFINITY = 2**31 - 1
_TIMESTAMP_INFINITY = 2**63 - 1
_PRINTABLE = frozenset(range(32, 127)) - {ord('"'), ord("'"), ord("\\")}


def read_cells(batch: pa.RecordBatch | pa.Table) -> list[list[Cell]]:
    """The rows of `batch`, each a list of cells in column order."""
    columns = [_column_cells(batch.column(i)) for i in range(batch.num_columns)]
    return [list(row) for row in zip(*columns, strict=True)] if columns else [[] for _ in range(batch.num_rows)]


def _column_cells(column: Any) -> list[Cell]:
    form = _formatter(column.type)
    if isinstance(column, pa.ChunkedArray):
        return [cell for chunk in column.chunks for cell in _array_cells(chunk, form)]
    return _array_cells(column, form)


Formatter = Callable[[Any], Cell]


def _array_cells(array: pa.Array, form: Formatter) -> list[Cell]:
    if pa.types.is_struct(array.type):
        return _struct_cells(array)
    return [None if value is None else form(value) for value in _raw_values(array)]


def _struct_cells(array: pa.StructArray) -> list[Cell]:
    names = [array.type.field(i).name for i in range(array.type.num_fields)]
    children = [_array_cells(child, _formatter(child.type)) for child in array.flatten()]
    rows = zip(*children, strict=True) if children else (() for _ in range(len(array)))
    valid = array.is_valid().to_pylist()
    return [dict(zip(names, row, strict=True)) if ok else None for ok, row in zip(valid, rows, strict=True)]


def _raw_values(array: pa.Array) -> list[Any]:
    kind = array.type
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return list(array.view(pa.int32()).to_pylist())
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        return list(array.view(pa.int64()).to_pylist())
    if pa.types.is_dictionary(kind):
        return _raw_values(array.dictionary_decode())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [None if not scalar.is_valid else scalar.values for scalar in array]
    if pa.types.is_map(kind):
        return [None if not scalar.is_valid else scalar.values for scalar in array]
    return list(array.to_pylist())


def _formatter(kind: pa.DataType) -> Formatter:
    if pa.types.is_boolean(kind):
        return bool
    if pa.types.is_integer(kind):
        return _integer
    if pa.types.is_float32(kind):
        return _single
    if pa.types.is_floating(kind):
        return _double
    if pa.types.is_decimal(kind):
        return _decimal
    if pa.types.is_date32(kind):
        return _date
    if pa.types.is_time64(kind):
        return _time_nanos if kind.unit == "ns" else _time_micros
    if pa.types.is_timestamp(kind):
        return _timestamp_formatter(kind)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return _blob
    if pa.types.is_dictionary(kind):
        return _formatter(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _list_formatter(_formatter(kind.value_type))
    if pa.types.is_map(kind):
        return _map_formatter(_formatter(kind.key_type), _formatter(kind.item_type))
    return str


def _integer(value: int) -> Cell:
    return value if -SAFE_INTEGER <= value <= SAFE_INTEGER else str(value)


def _double(value: float) -> Cell:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _single(value: float) -> Cell:
    if not math.isfinite(value):
        return _double(value)
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        if struct.unpack("f", struct.pack("f", float(text)))[0] == value:
            return float(text)
    return value


def _decimal(value: Decimal) -> Cell:
    return format(value, "f")


def _date(days: int) -> Cell:
    if days == _DATE_INFINITY:
        return "infinity"
    if days == -_DATE_INFINITY:
        return "-infinity"
    year, month, day = _civil(days)
    if year > 0:
        return f"{year:04d}-{month:02d}-{day:02d}"
    return f"{1 - year:04d}-{month:02d}-{day:02d} (BC)"


def _time_micros(value: int) -> Cell:
    seconds, micros = divmod(value, 1_000_000)
    return _clock(seconds, micros, 6)


def _time_nanos(value: int) -> Cell:
    seconds, nanos = divmod(value, 1_000_000_000)
    return _clock(seconds, nanos, 9)


def _clock(seconds: int, fraction: int, digits: int) -> str:
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{fraction:0{digits}d}".rstrip("0") if fraction else text


def _timestamp_formatter(kind: pa.DataType) -> Formatter:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[kind.unit]
    suffix = "+00" if kind.tz else ""

    def form(value: int) -> Cell:
        if value == _TIMESTAMP_INFINITY:
            return "infinity"
        if value == -_TIMESTAMP_INFINITY:
            return "-infinity"
        seconds, fraction = divmod(value, per_second)
        days, clock = divmod(seconds, 86400)
        date, time = _date(days), _clock(clock, fraction, digits)
        assert isinstance(date, str)
        if date.endswith(" (BC)"):
            return f"{date.removesuffix(' (BC)')} (BC) {time}{suffix}"
        return f"{date} {time}{suffix}"

    return form


def _blob(value: bytes) -> Cell:
    return "".join(chr(b) if b in _PRINTABLE else f"\\x{b:02X}" for b in value)


def _list_formatter(inner: Formatter) -> Formatter:
    return lambda values: _array_cells(values, inner)


def _map_formatter(key: Formatter, value: Formatter) -> Formatter:
    def form(pairs: pa.StructArray) -> Cell:
        keys, values = _array_cells(pairs.field(0), key), _array_cells(pairs.field(1), value)
        return [[k, v] for k, v in zip(keys, values, strict=True)]

    return form


def _civil(days: int) -> tuple[int, int, int]:
    """Year (astronomical, 0 is 1 BC), month and day of a day number since 1970-01-01 in the proleptic calendar.

    Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    """
    shifted = days + 719_468
    era, day_of_era = divmod(shifted, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_index = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_index + 2) // 5 + 1
    month = month_index + 3 if month_index < 10 else month_index - 9
    return year_of_era + era * 400 + (1 if month <= 2 else 0), month, day
