"""Undoing (отмена операции): which movements count. An undone one is left out as if it had never been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from installments.errors import UndoneMovementChargedBack, UndoneMovementUnknown
from installments.movements import Movement, MovementKind


def without_undone(movements: Sequence[Movement]) -> Sequence[Movement]:
    """What is left, in order: no undone movements and no undos. An undo may itself be undone.

    Raises: UndoneMovementUnknown; UndoneMovementChargedBack if a bank had taken the undone payment back.
    """
    if not any(movement.kind is MovementKind.UNDO for movement in movements):
        return movements
    undone = undone_of(movements)
    kept = [each for each in movements if each.id not in undone and each.kind is not MovementKind.UNDO]
    for each in kept:
        if each.kind is MovementKind.CHARGEBACK and each.undoes in undone:
            raise UndoneMovementChargedBack(undoes=each.undoes)
    return kept


def undone_of(movements: Sequence[Movement]) -> frozenset[str]:
    """Which movements do not count, undos among them: an undo that is undone takes nothing back.

    By who names whom: of undos of one moment the order says nothing. Raises: UndoneMovementUnknown.
    """
    known = {movement.id for movement in movements}
    undo_of = {movement.undoes: movement.id for movement in movements if movement.kind is MovementKind.UNDO}
    for undoes in undo_of:
        if undoes not in known:
            raise UndoneMovementUnknown(undoes=undoes)
    undone: set[str] = set()
    for movement in movements:
        if movement.kind is not MovementKind.UNDO:
            undone.update(_named([movement.id], undo_of))
    return frozenset(undone)


def _named(chain: list[str], undo_of: Mapping[str | None, str]) -> list[str]:
    """Of a movement, its undo, the undo of that and so on: each second one back from the last, which counts."""
    while chain[-1] in undo_of:
        chain.append(undo_of[chain[-1]])
    return chain[-2::-2]
