"""A pipeline's files as assets: names from paths, headers as options, SQL with `ref` and `source` as plain names."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from datasteward.errors import ToolError
from datasteward.lineage.sql_tokens import quote_name
from datasteward.pipelines.options import AssetOptions, Defaults, PipelineOptions
from datasteward.pipelines.problems import PipelineFault, Problem, place_of, suggest
from datasteward.pipelines.yaml_reading import read_yaml

PIPELINE_FILE = "pipeline.yaml"
MAX_FILES = 5000
MAX_FILE_BYTES = 2**20
RESERVED_SCHEMAS = frozenset({"_steward", "quarantine", "information_schema", "pg_catalog", "temp", "system"})
_SQL_HEADER = re.compile(r"\s*/\*\s*@asset\b[^\S\n]*(.*?)(?:@end\s*)?\*/", re.DOTALL)
_OTHER_HEADER = re.compile(r"\s*/\*\s*@(\w+)")
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}|\{%.*?%\}", re.DOTALL)
_CALL = re.compile(r"\s*(ref|source)\s*\(\s*(['\"])([^'\"]+)\2\s*(?:,\s*(['\"])([^'\"]+)\4\s*)?\)\s*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFiles:
    """The texts of a pipeline's files by path relative to its folder, so that they can cross to another process."""

    folder: str
    """The folder's name, which is the pipeline's name unless pipeline.yaml gives one."""
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file: the table, view or fragment it makes, and how."""

    schema: str
    table: str
    path: str
    language: str
    body: str
    """The SQL with header and templates replaced so that lines stay where they are, or the Python source."""
    options: AssetOptions
    parameters: tuple[str, ...] = ()
    """Python: the names of the function's parameters."""

    @property
    def name(self) -> str:
        """As people and SQL say it: without the schema when that is `main`."""
        return self.table if self.schema == "main" else f"{self.schema}.{self.table}"

    @property
    def key(self) -> str:
        """What tells assets apart: schema and table in lower case."""
        return f"{self.schema}.{self.table}".casefold()

    @property
    def engine(self) -> str:
        """Where its rows are computed: `duckdb` too for what a default of the pipeline cannot move elsewhere."""
        return self.options.engine if self.is_stored and self.language != "python" else "duckdb"

    @property
    def is_stored(self) -> bool:
        """Whether a run leaves rows of it in the database."""
        return self.options.materialize not in {"view", "ephemeral"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """Everything the files say; assets in order of their paths."""

    name: str
    options: PipelineOptions
    assets: tuple[Asset, ...]
    documents: Mapping[str, str]
    """Contract files by path."""


def read_folder(folder: Path) -> PipelineFiles:
    """The files of a pipeline's folder; raises `ToolError` (not_found, too_large) when there is none or too much."""
    if not folder.is_dir():
        raise ToolError(
            f"There is no pipeline folder {folder.name}.",
            code="not_found",
            hint="steward pipeline init makes one; a folder of .sql files is enough.",
        )
    texts: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        shown = path.relative_to(folder).as_posix()
        if any(part.startswith((".", "__")) for part in PurePosixPath(shown).parts) or path.is_symlink():
            continue
        if path.suffix not in {".sql", ".py", ".yaml", ".yml"} or not path.is_file():
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            continue
        if path.stat().st_size > MAX_FILE_BYTES or len(texts) >= MAX_FILES:
            raise ToolError(f"{shown} is too large, or there are over {MAX_FILES} files.", code="too_large")
        try:
            texts[shown] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise PipelineFault([Problem(path=shown, message=f"not UTF-8: {error.reason}")]) from error
    return PipelineFiles(folder=folder.name, texts=texts)


def load_pipeline(files: PipelineFiles) -> Pipeline:
    """The assets and options of the files; raises `PipelineFault` with every fault of every file."""
    problems: list[Problem] = []
    options = PipelineOptions()
    if PIPELINE_FILE in files.texts:
        try:
            options = read_yaml(files.texts[PIPELINE_FILE], PipelineOptions, PIPELINE_FILE)
        except PipelineFault as fault:
            problems += fault.problems
    drafts: list[Asset] = []
    broken: set[str] = set()
    for path, text in files.texts.items():
        try:
            if path.endswith(".sql"):
                drafts.append(_read_sql(path, text, options.defaults))
            elif path.endswith(".py"):
                drafts.append(_read_python(path, text, options.defaults))
        except PipelineFault as fault:
            problems += fault.problems
            broken.add(PurePosixPath(path).stem.casefold())
    assets: list[Asset] = []
    for draft in drafts:
        try:
            assets.append(_fill_templates(draft, drafts, broken))
        except PipelineFault as fault:
            problems += fault.problems
    problems += _find_doubles(assets)
    if not drafts and not problems:
        problems.append(Problem(path=files.folder, message="holds no .sql or .py file; each one is an asset"))
    if problems:
        raise PipelineFault(problems)
    return Pipeline(
        name=options.name or _plain_name(files.folder),
        options=options,
        assets=tuple(assets),
        documents={p: t for p, t in files.texts.items() if p.endswith((".yaml", ".yml")) and p != PIPELINE_FILE},
    )


def _plain_name(folder: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", folder).strip("_-") or "pipeline"
    return name if name[0].isalpha() else f"p{name}"


def _read_sql(path: str, text: str, defaults: Defaults) -> Asset:
    text = text.removeprefix("\ufeff")
    schema, table = _table_of(path)
    match = _SQL_HEADER.match(text)
    options = AssetOptions()
    if match is None:
        odd = _OTHER_HEADER.match(text)
        if odd is not None:
            line, column = place_of(text, odd.start(1) - 1)
            raise PipelineFault(
                [Problem(path=path, line=line, column=column, message=f"unknown header '@{odd[1]}', write '@asset'")]
            )
    else:
        line, column = place_of(text, match.start(1))
        options = read_yaml(match[1], AssetOptions, path, first_line=line, first_column=column)
        text = re.sub(r"[^\n]", " ", text[: match.end()]) + text[match.end() :]
    return Asset(
        schema=schema,
        table=table,
        path=path,
        language="spark" if options.dialect == "spark" else "sql",
        body=text,
        options=_with_defaults(options, defaults),
    )


def _read_python(path: str, text: str, defaults: Defaults) -> Asset:
    schema, table = _table_of(path)
    try:
        module = ast.parse(text)
    except SyntaxError as error:
        raise PipelineFault(
            [
                Problem(
                    path=path,
                    line=error.lineno or 0,
                    column=error.offset or 0,
                    message=f"not valid Python: {error.msg}",
                )
            ]
        ) from error
    functions = [n for n in module.body if isinstance(n, ast.FunctionDef) and n.name == "asset"]
    if not functions:
        raise PipelineFault([Problem(path=path, message="needs a function 'asset' whose parameters name its inputs")])
    options = AssetOptions()
    docstring = ast.get_docstring(module, clean=False) or ""
    if docstring.lstrip().startswith("@asset"):
        start = module.body[0].lineno + docstring[: docstring.index("@asset")].count("\n")
        content = docstring.split("@asset", 1)[1]
        options = read_yaml(content, AssetOptions, path, first_line=start)
    if options.columns is None:
        raise PipelineFault(
            [Problem(path=path, message="a Python asset needs 'columns: {name: TYPE}' in its header, to be planned")]
        )
    if options.materialize not in {"table", "merge"} or options.engine != "duckdb":
        odd = options.materialize if options.engine == "duckdb" else f"for {options.engine}"
        message = f"a Python asset is a table or a merge and runs on this machine, not {odd}"
        raise PipelineFault([Problem(path=path, message=message)])
    return Asset(
        schema=schema,
        table=table,
        path=path,
        language="python",
        body=text,
        options=_with_defaults(options, defaults),
        parameters=tuple(a.arg for a in functions[0].args.args),
    )


def _table_of(path: str) -> tuple[str, str]:
    parts = PurePosixPath(path).with_suffix("").parts
    for part in parts:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", part):
            raise PipelineFault(
                [
                    Problem(
                        path=path, message=f"'{part}' is not a plain name of letters, digits and _, which tables need"
                    )
                ]
            )
    schema = "_".join(parts[:-1]) or "main"
    if schema.casefold() in RESERVED_SCHEMAS:
        raise PipelineFault([Problem(path=path, message=f"the schema '{schema}' is reserved; use another folder name")])
    return schema, parts[-1]


def _with_defaults(options: AssetOptions, defaults: Defaults) -> AssetOptions:
    given = options.model_fields_set
    update = {
        name: value
        for name in type(defaults).model_fields
        if name not in given and (value := getattr(defaults, name)) is not None
    }
    return options.model_copy(update=update) if update else options


def _fill_templates(asset: Asset, assets: list[Asset], broken: set[str]) -> Asset:
    if asset.language == "python" or "{" not in asset.body:
        return asset
    problems: list[Problem] = []

    def fill(match: re.Match[str]) -> str:
        line, column = place_of(asset.body, match.start())
        call = _CALL.match(match[1] or "")
        if call is None:
            problems.append(
                Problem(
                    path=asset.path,
                    line=line,
                    column=column,
                    message=f"'{match[0][:40]}' is not understood; only ref('name') and source('schema', 'name') are",
                )
            )
            return match[0]
        name = _resolve_call(call, assets)
        if name is None and (call[5] or call[3]).split(".")[-1].casefold() in broken:
            return match[0]
        if name is None:
            known = [a.name for a in assets]
            problems.append(
                Problem(
                    path=asset.path, line=line, column=column, message=f"no asset '{call[3]}'{suggest(call[3], known)}"
                )
            )
            return match[0]
        return name + "\n" * match[0].count("\n") + " " * max(0, len(match[0]) - len(name))

    body = _TEMPLATE.sub(fill, asset.body)
    if problems:
        raise PipelineFault(problems)
    return replace(asset, body=body)


def _resolve_call(call: re.Match[str], assets: list[Asset]) -> str | None:
    first, second = call[3], call[5]
    if call[1] == "source":
        return f"{quote_name(first)}.{quote_name(second)}" if second else quote_name(first)
    wanted = (second or first).casefold()
    found = [a for a in assets if wanted in {a.name.casefold(), a.table.casefold(), a.key}]
    exact = [a for a in found if a.name.casefold() == wanted]
    chosen = exact[0] if exact else found[0] if len(found) == 1 else None
    if chosen is None:
        return None
    return (
        quote_name(chosen.table)
        if chosen.schema == "main"
        else f"{quote_name(chosen.schema)}.{quote_name(chosen.table)}"
    )


def _find_doubles(assets: list[Asset]) -> list[Problem]:
    seen: dict[str, Asset] = {}
    problems = []
    for asset in assets:
        other = seen.setdefault(asset.key, asset)
        if other is not asset:
            problems.append(Problem(path=asset.path, message=f"makes {asset.name}, and so does {other.path}"))
    return problems
