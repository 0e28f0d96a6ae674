"""What is refused about cards and their tokens.

Rejected
├── CardRefused                     a card that is not kept
│   └── CardExpired, CardExpiryMalformed, CardHolderMalformed, ScopeMalformed, RestrictionsMalformed
├── TokenRefused                    a token that does not open; the refusal is an event of its own
│   ├── TokenNotFound, TokenExpired, TokenDeleted, TokenShredded
│   └── UseRefused                  it is not for this use
│       └── ChannelRefused, HostRefused, AmountRefused, CurrencyRefused, UseTooEarly, UseTooLate
├── ImportRefused                   a file, or a line of it, that is not taken in
│   └── ImportFormUnknown, ImportLineMalformed, ImportReferenceMalformed, ImportAdvanced, ImportNotFound, FileNotThere
└── ExportRefused                   ExportNotFound, ExportNeedsAnother, ExportKeyRefused, ExportNotRunning
Unavailable
├── CardKeysNotReady
└── TooManyUnknownTokens
InvariantBroken
└── CardTampered                    a row that does not open under its own key, token and merchant
"""

from __future__ import annotations

from pci.audit_log.event import AuditEvent
from pci.errors import InvariantBroken, Rejected, Unavailable


class CardRefused(Rejected):
    """This card is not kept."""

    code = "vault.card_refused"


class CardExpired(CardRefused):
    """The card's own time is over."""

    code = "vault.card_expired"


class CardExpiryMalformed(CardRefused):
    """A card expires in a month, YYYY-MM, of the next twenty years."""

    code = "vault.expiry_malformed"


class CardHolderMalformed(CardRefused):
    """A holder's name is 2 to 64 characters without digits in a row."""

    code = "vault.holder_name_malformed"


class ScopeMalformed(CardRefused):
    """A scope is a short word of small letters, digits and underscores."""

    code = "vault.scope_malformed"


class RestrictionsMalformed(CardRefused):
    """These restrictions cannot be kept."""

    code = "vault.restrictions_malformed"


class TokenRefused(Rejected):
    """This token is not opened."""

    code = "vault.token_refused"
    event: AuditEvent | None = None
    """The refusal's own line of the log; see ``refusals``."""


class TokenNotFound(TokenRefused):
    """There is no such token, or it is not yours."""

    code = "vault.token_not_found"


class TokenExpired(TokenRefused):
    """The token's time is over, and its card is gone."""

    code = "vault.token_expired"


class TokenDeleted(TokenRefused):
    """The card behind this token was deleted."""

    code = "vault.token_deleted"


class TokenShredded(TokenRefused):
    """The keys of this merchant's cards were destroyed."""

    code = "vault.token_shredded"


class UseRefused(TokenRefused):
    """The token is not for this use."""

    code = "vault.use_refused"


class ChannelRefused(UseRefused):
    """The token is not for this channel."""

    code = "vault.use_channel_refused"


class HostRefused(UseRefused):
    """The token's card may not be sent to this host."""

    code = "vault.use_host_refused"


class AmountRefused(UseRefused):
    """The amount is more than the token is for."""

    code = "vault.use_amount_refused"


class CurrencyRefused(UseRefused):
    """The token is not for this currency."""

    code = "vault.use_currency_refused"


class UseTooEarly(UseRefused):
    """The token may not be used yet."""

    code = "vault.use_too_early"


class UseTooLate(UseRefused):
    """The token may not be used any more."""

    code = "vault.use_too_late"


class ImportRefused(Rejected):
    """This file of cards is not taken in."""

    code = "vault.import_refused"


class ImportFormUnknown(ImportRefused):
    """The file is neither a CSV with the heading nor a JSON object a line."""

    code = "vault.import_form_unknown"


class ImportLineMalformed(ImportRefused):
    """The line has too few fields, too many, or is too long."""

    code = "vault.import_line_malformed"


class ImportReferenceMalformed(ImportRefused):
    """A reference is at most 64 printable characters without 13 digits in a row: it might be a card number."""

    code = "vault.import_reference_malformed"


class ImportAdvanced(ImportRefused):
    """Somebody else is taking in the same file."""

    code = "vault.import_advanced"


class ImportNotFound(ImportRefused):
    """There is no such import."""

    code = "vault.import_not_found"


class FileNotThere(ImportRefused):
    """No such file lies in the vault's folder for files of cards."""

    code = "vault.file_not_there"


class ExportRefused(Rejected):
    """The cards are not given out."""

    code = "vault.export_refused"


class ExportNotFound(ExportRefused):
    """There is no such export."""

    code = "vault.export_not_found"


class ExportNeedsAnother(ExportRefused):
    """Who asked for an export does not agree to it: another person must."""

    code = "vault.export_needs_another"
    event: AuditEvent | None = None


class ExportKeyRefused(ExportRefused):
    """Cards are given out to a public P-256 key only."""

    code = "vault.export_key_refused"


class ExportNotRunning(ExportRefused):
    """The export was not agreed to, is finished, or somebody else is writing it."""

    code = "vault.export_not_running"


class CardKeysNotReady(Unavailable):
    """The merchant's keys are not open yet; the same request may be repeated."""

    code = "vault.card_keys_not_ready"


class TooManyUnknownTokens(Unavailable):
    """Too many tokens were asked for that do not exist: wait."""

    code = "vault.too_many_unknown_tokens"
    event: AuditEvent | None = None
    """The line of the log when it is the one too many."""


class CardTampered(InvariantBroken):
    """A card's row does not open under its own key, token and merchant."""

    code = "vault.card_tampered"
    event: AuditEvent | None = None
