"""Where the names of one statement are looked up, and how its parts are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn

from sqlglot import exp

from bandung.gateway.domain.dataset import Dimension, Epoch, Measure
from bandung.gateway.planning import resolve
from bandung.gateway.planning.grammar import refuse
from bandung.gateway.planning.resolve import Place
from bandung.gateway.planning.text import position

SCHEMA: Final = "main"


@dataclass(frozen=True, slots=True)
class Scope:
    """One dataset under one name, and the text that asks it.

    Attributes:
        table: the dataset's name or alias in the text, in small letters.
    """

    text: str
    epoch: Epoch
    table: str

    def dimension(self, node: exp.Expr) -> str:
        """Return the name of the declared dimension that a node names.

        Raises:
            Refusal: NOT_IN_GRAMMAR if it is no column of the dataset; UNKNOWN_COLUMN, WRONG_ROLE.
        """
        return resolve.dimension(self.name(node), self.epoch.dataset, self.place(node)).name

    def measure(self, node: exp.Expr) -> str:
        """Return the name of the declared measure that a node names; refusals as for `dimension`."""
        return resolve.measure(self.name(node), self.epoch.dataset, self.place(node)).name

    def filtered(self, node: exp.Expr) -> Dimension | Measure:
        """Return the declared column that a node of WHERE names; refusals as for `dimension`."""
        return resolve.filtered(self.name(node), self.epoch.dataset, self.place(node))

    def name(self, node: exp.Expr) -> str:
        """Return the name of a column of the dataset, declared or not.

        Raises:
            Refusal: NOT_IN_GRAMMAR for anything else.
        """
        tables = ("", self.table, self.epoch.dataset.name)
        if not isinstance(node, exp.Column) or node.table.lower() not in tables or node.db not in ("", SCHEMA):
            self.refuse(node, "Name a declared column of the dataset.")
        return node.name

    def place(self, node: exp.Expr) -> Place:
        """Return where a node begins in the text."""
        return position(node, self.text)

    def refuse(self, node: exp.Expr, nearest: str) -> NoReturn:
        """Refuse a node; see `grammar.refuse`."""
        refuse(node, self.text, nearest)
