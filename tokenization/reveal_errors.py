"""What is refused when a person asks to be shown a card number.

Rejected
└── RevealRejected
    ├── RevealTermsRejected, ApprovalNeeded
    └── RevealRequestUnknown, RevealRequestOver, RevealRequestOther
"""

from __future__ import annotations

from pci.errors import Rejected


class RevealRejected(Rejected):
    """This card number is not shown."""

    code = "vault.reveal_rejected"


class RevealTermsRejected(RevealRejected):
    """A known reason is needed, and the ticket it stands in: 1 to 64 characters, no twelve digits in a row."""

    code = "vault.reveal_terms_rejected"


class ApprovalNeeded(RevealRejected):
    """The day's share of card numbers is used up: ask for this one, and let a second person approve it."""

    code = "vault.approval_needed"


class RevealRequestUnknown(RevealRejected):
    """Nobody asked for this, or it is not yours."""

    code = "vault.reveal_request_unknown"


class RevealRequestOver(RevealRejected):
    """This request was decided, used, or its quarter of an hour is over: ask again."""

    code = "vault.reveal_request_over"


class RevealRequestOther(RevealRejected):
    """What was approved is another card, reason or ticket."""

    code = "vault.reveal_request_other"
