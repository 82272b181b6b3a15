"""What a mutation is, and whether it still fits the source it was written for."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One guard taken out.

    `old` stands exactly once in `file` and is replaced by `new`; `tests` are what must notice:
    files, or tests in them (`tests/…/test_x.py::test_y`), as pytest takes them.
    """

    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, source: str) -> str:
        """The mutated source. Raises StaleMutation where it does not fit any more."""
        if (count := source.count(self.old)) != 1:
            raise StaleMutation(f"{self.guard}: its text stands {count} times in {self.file}")
        mutated = source.replace(self.old, self.new)
        try:
            compile(mutated, self.file, "exec")
        except SyntaxError as error:
            raise StaleMutation(f"{self.guard}: {self.file} would be no Python: {error}") from None
        return mutated

    def check(self) -> None:
        """Raises StaleMutation where the source or its tests are not what they were."""
        self.applied((ROOT / self.file).read_text())
        for test in self.tests:
            file, _, name = test.partition("::")
            path = ROOT / file
            found = path.is_dir() if not file.endswith(".py") else path.is_file()
            if not found:
                raise StaleMutation(f"{self.guard}: there is no {file}")
            if name and not re.search(rf"def {re.escape(name)}\b", path.read_text()):
                raise StaleMutation(f"{self.guard}: there is no {name} in {file}")


class StaleMutation(Exception):
    """The source has changed under a mutation: it has to be written anew."""
