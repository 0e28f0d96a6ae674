"""What can go wrong with keys.

PciError
├── Rejected
│   ├── KeyNotFound            no key of this number
│   ├── KeyRetired             a key that may only open was asked to close something
│   ├── KeyWithdrawn           suspended, compromised or destroyed: it opens nothing
│   ├── KeyMoveRefused         a key cannot go from this state to that one
│   ├── WrongEnvironment       a test key in production, or the other way round
│   ├── KekRefused             a KEK that could leave its device, or is missing in it
│   ├── KeyFileRefused         the key file lies or looks wrong
│   ├── PassphraseWrong        the key file does not open with this passphrase
│   ├── ShareRefused           a share is damaged, foreign, or another custodian's
│   ├── CustodianRepeated      one custodian cannot stand for two
│   ├── CustodianRefused       unknown, deactivated, or without an acknowledgement
│   └── RotationRefused        a rotation cannot go from this status to that one
├── Unavailable
│   ├── Sealed                 the vault is sealed: custodians must give their shares
│   ├── ProviderUnavailable    the keeper of the KEK does not answer
│   └── KeyUsesSpent           this process must reserve more encryptions first
└── InvariantBroken
    └── SealBroken             what was opened is not what was closed
"""

from __future__ import annotations

from pci.errors import InvariantBroken, Rejected, Unavailable


class KeyNotFound(Rejected):
    """There is no such key."""

    code = "keys.not_found"


class KeyRetired(Rejected):
    """This key is retired: it opens what it closed and closes nothing more."""

    code = "keys.retired"


class KeyWithdrawn(Rejected):
    """This key is suspended, compromised or destroyed and opens nothing."""

    code = "keys.withdrawn"


class KeyMoveRefused(Rejected):
    """A key cannot move between these states."""

    code = "keys.move_refused"


class WrongEnvironment(Rejected):
    """This key belongs to another environment."""

    code = "keys.wrong_environment"


class KekRefused(Rejected):
    """This KEK cannot be trusted with keys."""

    code = "keys.kek_refused"


class KeyFileRefused(Rejected):
    """The key file is not where or what it must be."""

    code = "keys.file_refused"


class PassphraseWrong(Rejected):
    """The key file does not open with this passphrase."""

    code = "keys.passphrase_wrong"


class ShareRefused(Rejected):
    """This share is not accepted."""

    code = "keys.share_refused"


class CustodianRepeated(Rejected):
    """This custodian has given a share already; another one must come."""

    code = "keys.custodian_repeated"


class CustodianRefused(Rejected):
    """This custodian may not take part."""

    code = "keys.custodian_refused"


class RotationRefused(Rejected):
    """A rotation cannot do this now."""

    code = "keys.rotation_refused"


class Sealed(Unavailable):
    """The vault is sealed until its custodians have given their shares."""

    code = "keys.sealed"


class ProviderUnavailable(Unavailable):
    """The keeper of the KEK does not answer."""

    code = "keys.provider_unavailable"


class KeyUsesSpent(Unavailable):
    """This process has used up the encryptions it reserved for the key."""

    code = "keys.uses_spent"


class SealBroken(InvariantBroken):
    """This does not open: it was changed, moved, or closed with another key."""

    code = "keys.seal_broken"
