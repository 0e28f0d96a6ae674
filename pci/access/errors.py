"""What people of the vault are refused.

Rejected
└── AccessRejected
    ├── SignInRefused, SignInNeeded, ScopeMissing
    ├── OwnRequest, OwnAccount, RolesRejected, LoginTaken
    ├── PersonRejected, PersonUnknown, PersonStatusRejected, ReasonRejected
    ├── PasswordWeak, PasswordRepeated, EnrolmentRefused, EnrolmentWaits
    ├── ResetUnknown, ResetOver
    └── ReviewRejected, PageForeign
Unavailable
└── SignInBusy
"""

from __future__ import annotations

from pci.errors import Rejected, Unavailable


class AccessRejected(Rejected):
    """This person may not do this."""

    code = "access.rejected"


class SignInRefused(AccessRejected):
    """The login, the password or the code is wrong, or this person may not sign in now."""

    code = "access.sign_in_refused"


class SignInNeeded(AccessRejected):
    """Nobody is signed in here, or not any more: sign in."""

    code = "access.sign_in_needed"


class ScopeMissing(AccessRejected):
    """The roles of this person do not allow this."""

    code = "access.scope_missing"


class OwnRequest(AccessRejected):
    """Nobody approves what they asked for themselves: a second person must."""

    code = "access.own_request"


class OwnAccount(AccessRejected):
    """Nobody changes their own roles, status or factors this way: another person must."""

    code = "access.own_account"


class RolesRejected(AccessRejected):
    """These roles are unknown or must not be one person's."""

    code = "access.roles_rejected"


class LoginTaken(AccessRejected):
    """There is, or was, a person with this login: logins are never given twice."""

    code = "access.login_taken"


class PersonRejected(AccessRejected):
    """A person has a login of 3 to 64 small letters and digits, and a name of 1 to 100 characters."""

    code = "access.person_rejected"


class PersonUnknown(AccessRejected):
    """There is no such person."""

    code = "access.person_unknown"


class PersonStatusRejected(AccessRejected):
    """This person is not in a state in which that can be done."""

    code = "access.person_status_rejected"


class ReasonRejected(AccessRejected):
    """A reason of 1 to 200 characters is needed, without card numbers."""

    code = "access.reason_rejected"


class PasswordWeak(AccessRejected):
    """A password has 12 to 128 characters, letters and digits among them, and is not the login."""

    code = "access.password_weak"


class PasswordRepeated(AccessRejected):
    """This is one of the last four passwords: choose a new one."""

    code = "access.password_repeated"


class EnrolmentRefused(AccessRejected):
    """This enrolment is unknown, begun, over, or a factor given with it is wrong: ask for a new one."""

    code = "access.enrolment_refused"


class EnrolmentWaits(AccessRejected):
    """This invitation waits until a security officer has confirmed it."""

    code = "access.enrolment_waits"


class ResetUnknown(AccessRejected):
    """Nobody asked for this reset."""

    code = "access.reset_unknown"


class ResetOver(AccessRejected):
    """This reset was approved already, or its time is over: ask again."""

    code = "access.reset_over"


class ReviewRejected(AccessRejected):
    """What is signed off is not what stands now: export it again."""

    code = "access.review_rejected"


class PageForeign(AccessRejected):
    """Another site's page may not ask this for a person who is signed in here."""

    code = "access.page_foreign"


class SignInBusy(Unavailable):
    """Too many people sign in at once; try again in a moment."""

    code = "access.sign_in_busy"
