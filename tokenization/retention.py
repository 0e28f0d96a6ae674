"""What the vault keeps only so long: how each class of data is found past its time, and how it ends."""

from __future__ import annotations

from pci.evidence.retention import PurgeMethod, RetainedData

_WHOSE = "(merchant_id = :merchant_id OR (:merchant_id = '' AND merchant_id <> ALL (:others)))"
_PAST_CARDS = (
    "FROM cards WHERE status = 'active' AND "
    + _WHOSE
    + " AND expires < to_char(CAST(:cutoff_at AS timestamptz), 'YYYY-MM')"
)
_PAST_SESSIONS = "FROM card_sessions WHERE " + _WHOSE + " AND expires_at < :cutoff_at"
_PAST_SAD = "FROM sad_volatile WHERE expires_at < :cutoff_at"

RETAINED: tuple[RetainedData, ...] = (
    RetainedData(
        "expired_card",
        PurgeMethod.EMPTIED,
        "UPDATE cards AS c SET status = 'expired', ended_at = :now, changed_at = :now, key_number = NULL,"
        " pan_sealed = NULL, holder_sealed = NULL, fingerprint = NULL, fingerprint_key = NULL"
        f" FROM (SELECT merchant_id, number {_PAST_CARDS} LIMIT :limit FOR UPDATE SKIP LOCKED) AS due"
        " WHERE c.merchant_id = due.merchant_id AND c.number = due.number",
        f"SELECT count(*) {_PAST_CARDS}",
    ),
    RetainedData(
        "card_session",
        PurgeMethod.DELETED,
        f"DELETE FROM card_sessions WHERE id IN (SELECT id {_PAST_SESSIONS} LIMIT :limit)",
        f"SELECT count(*) {_PAST_SESSIONS}",
    ),
    RetainedData(
        "sad",
        PurgeMethod.DELETED,
        f"DELETE FROM sad_volatile WHERE token IN (SELECT token {_PAST_SAD} LIMIT :limit)",
        f"SELECT count(*) {_PAST_SAD}",
    ),
)
"""A card is past its time so many days after the end of its month; the month it expires in is not over before."""
