"""Undoing (отмена операции): which movements count. An undone one is left out as if it had never been."""

from __future__ import annotations

from collections.abc import Sequence

from installments.errors import UndoneMovementChargedBack, UndoneMovementUnknown
from installments.movements import Movement, MovementKind


def without_undone(movements: Sequence[Movement]) -> Sequence[Movement]:
    """What is left, in order: no undone movements and no undos. An undo may itself be undone; the later one counts.

    Raises: UndoneMovementUnknown; UndoneMovementChargedBack if a bank had taken the undone payment back.
    """
    if not any(movement.kind is MovementKind.UNDO for movement in movements):
        return movements
    known = {movement.id for movement in movements}
    undone: set[str] = set()
    for movement in reversed(movements):
        if movement.kind is MovementKind.UNDO and movement.id not in undone:
            if movement.undoes is None or movement.undoes not in known:
                raise UndoneMovementUnknown(undoes=movement.undoes)
            undone.add(movement.undoes)
    kept = [each for each in movements if each.id not in undone and each.kind is not MovementKind.UNDO]
    for each in kept:
        if each.kind is MovementKind.CHARGEBACK and each.undoes in undone:
            raise UndoneMovementChargedBack(undoes=each.undoes)
    return kept
