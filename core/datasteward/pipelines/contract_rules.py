"""The rules of an ODCS document, of columns and of its quality section, as checks."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datasteward.lineage.sql_tokens import quote_name, quote_text
from datasteward.pipelines.checks import Check, literal
from datasteward.pipelines.options import OnFail, Threshold

if TYPE_CHECKING:
    from open_data_contract_standard.model import DataQuality, SchemaProperty


def _row_check(name: str, bad: str, column: str, on_fail: OnFail = "block", limit: Threshold | None = None) -> Check:
    return Check(
        name=name,
        scope="row",
        sql=f"coalesce({bad}, false)",
        on_fail=on_fail,
        limit=limit,
        columns=(column,),
        source="contract",
    )


def unique_check(columns: Sequence[str]) -> Check:
    """The check that the columns together are unique."""
    names = ", ".join(quote_name(c) for c in columns)
    sql = (
        "SELECT coalesce(sum(n), 0)::BIGINT FROM (SELECT count(*) - 1 AS n FROM {this} WHERE "
        + " AND ".join(f"{quote_name(c)} IS NOT NULL" for c in columns)
        + f" GROUP BY {names} HAVING count(*) > 1)"
    )
    return Check(name=f"unique {', '.join(columns)}", scope="table", sql=sql, columns=tuple(columns), source="contract")


def column_checks(column: "SchemaProperty") -> list[Check]:
    """The checks that a column's own keywords and quality rules ask for."""
    name = str(column.name)
    quoted, text = quote_name(name), f"CAST({quote_name(name)} AS VARCHAR)"
    found: list[Check] = []
    if column.required or column.primaryKey:
        found.append(_row_check(f"not_null {name}", f"({quoted} IS NULL)", name))
    if column.unique:
        found.append(unique_check([name]))
    if column.enum:
        values = ", ".join(literal(v.value) for v in column.enum)
        found.append(_row_check(f"accepted {name}", f"{quoted} NOT IN ({values})", name))
    options = column.logicalTypeOptions or {}
    bounds = {
        "minimum": "<",
        "exclusiveMinimum": "<=",
        "maximum": ">",
        "exclusiveMaximum": ">=",
    }
    for key, operator in bounds.items():
        if key in options and not isinstance(options[key], bool):
            found.append(_row_check(f"{key} {name}", f"{quoted} {operator} {literal(options[key])}", name))
    if "minLength" in options:
        found.append(_row_check(f"minLength {name}", f"length({text}) < {int(options['minLength'])}", name))
    if "maxLength" in options:
        found.append(_row_check(f"maxLength {name}", f"length({text}) > {int(options['maxLength'])}", name))
    if "pattern" in options:
        pattern = quote_text(str(options["pattern"]))
        found.append(_row_check(f"pattern {name}", f"NOT regexp_full_match({text}, {pattern})", name))
    for rule in column.quality or ():
        if (made := quality_check(rule, name)) is not None:
            found.append(made)
    return found


def quality_check(rule: "DataQuality", column: str | None) -> Check | None:
    """The check of a quality rule, or None for kinds that only people read (`text`) or other tools run (`custom`)."""
    on_fail: OnFail = "warn" if (rule.severity or "").casefold() in {"info", "warning", "warn"} else "block"
    for item in rule.customProperties or ():
        if item.property == "onFail" and item.value in {"warn", "quarantine", "block"}:
            on_fail = item.value
    kind = rule.type or ("sql" if rule.query else "library")
    if kind == "sql" and rule.query:
        query = rule.query.replace("{object}", "{this}").replace("${object}", "{this}").replace("{model}", "{this}")
        query = query.replace("{property}", quote_name(column or "")).strip().rstrip(";")
        return _table_check(rule, f"query {rule.name or column or ''}".strip(), f"({query})", on_fail, column)
    if kind != "library":
        return None
    metric = rule.metric or rule.rule or ""
    if metric == "rowCount":
        return _table_check(rule, "rowCount", "(SELECT count(*) FROM {this})", on_fail, None)
    if metric == "duplicateValues":
        names = [column] if column else [str(c) for c in (rule.arguments or {}).get("properties", [])]
        counted = unique_check(names).sql
        return _table_check(rule, f"duplicateValues {', '.join(names)}", f"({counted})", on_fail, column)
    bad = _bad_value(metric, column, rule.arguments or {})
    if bad is None or column is None:
        return None
    if _is_zero_rule(rule):
        if on_fail == "quarantine":
            return _row_check(rule.name or f"{metric} {column}", bad, column, "quarantine")
        return _row_check(rule.name or f"{metric} {column}", bad, column, on_fail)
    limit = _threshold(rule)
    if limit is not None and on_fail == "quarantine":
        return _row_check(rule.name or f"{metric} {column}", bad, column, "quarantine", limit)
    share = " * 100.0 / greatest(count(*), 1)" if rule.unit == "percent" else ""
    counted = f"(SELECT count(*) FILTER (WHERE {bad}){share} FROM {{this}})"
    return _table_check(rule, f"{metric} {column}", counted, "warn" if on_fail == "warn" else "block", column)


def _bad_value(metric: str, column: str | None, arguments: Mapping[str, Any]) -> str | None:
    if column is None:
        return None
    quoted = quote_name(column)
    if metric == "nullValues":
        return f"({quoted} IS NULL)"
    if metric == "missingValues":
        values = [v for v in arguments.get("missingValues", []) if v is not None]
        listed = f" OR CAST({quoted} AS VARCHAR) IN ({', '.join(quote_text(str(v)) for v in values)})" if values else ""
        return f"({quoted} IS NULL{listed})"
    if metric == "invalidValues":
        if "pattern" in arguments:
            return f"NOT regexp_full_match(CAST({quoted} AS VARCHAR), {quote_text(str(arguments['pattern']))})"
        valid = arguments.get("validValues", [])
        return f"{quoted} NOT IN ({', '.join(literal(v) for v in valid)})" if valid else None
    return None


def _is_zero_rule(rule: "DataQuality") -> bool:
    return rule.mustBe == 0 or rule.mustBeLessOrEqualTo == 0 or rule.mustBeLessThan == 1


def _threshold(rule: "DataQuality") -> Threshold | None:
    most = rule.mustBeLessOrEqualTo if rule.mustBeLessOrEqualTo is not None else rule.mustBeLessThan
    if most is None:
        return None
    return Threshold(share=most / 100) if rule.unit == "percent" else Threshold(rows=int(most))


def _table_check(rule: "DataQuality", name: str, number: str, on_fail: OnFail, column: str | None) -> Check | None:
    tests = _comparisons(rule)
    if not tests:
        return None
    holds = " AND ".join(f"v {t}" for t in tests)
    return Check(
        name=rule.name or name,
        scope="table",
        sql=f"SELECT CASE WHEN {holds} THEN 0 ELSE 1 END FROM (SELECT {number} AS v)",
        on_fail="block" if on_fail == "quarantine" else on_fail,
        columns=(column,) if column else (),
        source="contract",
    )


def _comparisons(rule: "DataQuality") -> list[str]:
    pairs = (
        (rule.mustBe, "="),
        (rule.mustNotBe, "<>"),
        (rule.mustBeGreaterThan, ">"),
        (rule.mustBeGreaterOrEqualTo, ">="),
        (rule.mustBeLessThan, "<"),
        (rule.mustBeLessOrEqualTo, "<="),
    )
    found = [f"{operator} {literal(value)}" for value, operator in pairs if value is not None]
    for bounds, word in ((rule.mustBeBetween, "BETWEEN"), (rule.mustNotBeBetween, "NOT BETWEEN")):
        if bounds:
            found.append(f"{word} {literal(bounds[0])} AND {literal(bounds[1])}")
    return found
