"""Reads a statement token by token, for the statements that DuckDB does not give as a tree."""

from collections.abc import Sequence

from datasteward.engine.gate_facts import Refused
from datasteward.engine.gate_parser import Token, tokens_of

_END = Token(text="", start=0, end=0, type="end")


class TokenReader:
    """A cursor over the tokens of one statement, trailing semicolons left out."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.data = text.encode()
        self.tokens: list[Token] = list(tokens_of(text))
        while self.tokens and self.tokens[-1].text == ";":
            self.tokens.pop()
        self.index = 0

    @property
    def now(self) -> Token:
        """The next token; an empty one at the end."""
        return self.tokens[self.index] if self.index < len(self.tokens) else _END

    @property
    def is_done(self) -> bool:
        """Whether every token was read."""
        return self.index >= len(self.tokens)

    @property
    def end(self) -> int:
        """The byte offset where the last token ends."""
        return self.tokens[-1].end if self.tokens else 0

    def take(self, *words: str) -> bool:
        """Read the words if they come next, all of them, in order."""
        coming = [t.word for t in self.tokens[self.index : self.index + len(words)]]
        if coming != list(words):
            return False
        self.index += len(words)
        return True

    def take_any(self, words: Sequence[str]) -> str | None:
        """Read the next token if it is one of the words, and give it."""
        word = self.now.word
        if word and word in words:
            self.index += 1
            return word
        return None

    def expect(self, *words: str) -> None:
        """Read the words; raises `Refused` when something else comes."""
        if not self.take(*words):
            raise self.unknown()

    def path(self) -> tuple[str, ...]:
        """A name with dots in it, quotes taken off; raises `Refused` when none comes."""
        parts = [self._name()]
        while self.now.text == ".":
            self.index += 1
            parts.append(self._name())
        return tuple(parts)

    def _name(self) -> str:
        token = self.now
        if token.type not in {"identifier", "keyword"}:
            raise self.unknown()
        self.index += 1
        return token.name

    def group(self) -> list[Token]:
        """The tokens inside the bracket that comes next, which is read with its end."""
        if self.now.text != "(":
            raise self.unknown()
        start, depth = self.index + 1, 0
        while not self.is_done:
            depth += (self.now.text == "(") - (self.now.text == ")")
            self.index += 1
            if depth == 0:
                return self.tokens[start : self.index - 1]
        raise self.unknown()

    def until(self, words: Sequence[str]) -> list[Token]:
        """The tokens before the next of `words` that stands outside brackets and CASE; that word is not read."""
        start, depth = self.index, 0
        while not self.is_done:
            word = self.now.word
            if depth == 0 and word and word in words:
                break
            depth += (self.now.text in {"(", "[", "{"} or word == "case") - (
                self.now.text in {")", "]", "}"} or (word == "end" and depth > 0)
            )
            self.index += 1
        return self.tokens[start : self.index]

    def rest(self) -> list[Token]:
        """All tokens that are left; they are read."""
        left = self.tokens[self.index :]
        self.index = len(self.tokens)
        return left

    def source(self, tokens: Sequence[Token]) -> str:
        """The exact text from the first to the last of `tokens`."""
        return self.data[tokens[0].start : tokens[-1].end].decode() if tokens else ""

    def unknown(self) -> Refused:
        """The refusal of a form that the reader does not know."""
        what = f"'{self.now.text}'" if not self.is_done else "the end of the statement"
        return Refused(
            f"The statement takes a form that is not known here, at {what}, so it is refused.",
            hint="Write it in its plainest form.",
            position=self.now.start if not self.is_done else self.end,
        )
