"""Refusals of the evidence.

PciError
├── Rejected
│   ├── RetentionPolicyRefused   evidence.retention_policy_refused
│   ├── PackRefused              evidence.pack_refused
│   ├── CaseRefused              evidence.case_refused
│   └── ReviewRefused            evidence.review_refused
"""

from __future__ import annotations

from pci.errors import Rejected


class RetentionPolicyRefused(Rejected):
    """A retention policy says what, how long and why; nothing is kept longer than the house allows."""

    code = "evidence.retention_policy_refused"


class PackRefused(Rejected):
    """This is not a pack of evidence as it was signed."""

    code = "evidence.pack_refused"


class CaseRefused(Rejected):
    """A case is closed once, with a note of what was found, by an active person whom it is not about."""

    code = "evidence.case_refused"


class ReviewRefused(Rejected):
    """A day is reviewed once it has begun."""

    code = "evidence.review_refused"
