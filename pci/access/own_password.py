"""A person changes their own password, while they are signed in with both factors."""

from __future__ import annotations

from pci.access import enrolments, repository, sign_ins
from pci.access.deeds import Access, Wish, deed, record_refusal
from pci.access.errors import PasswordRepeated, PasswordWeak, SignInRefused
from pci.access.signing_in import count_failure
from pci.secret import Secret


async def change_password(access: Access, wish: Wish, present: Secret, new: Secret) -> None:
    """Take another password; whatever else the person has open is over, and so are guesses at the present one.

    Raises: SignInNeeded; SignInRefused if the present password is wrong, counted like a failed sign-in;
    PasswordWeak, PasswordRepeated, SignInBusy. Locks: the person's row.
    """
    async with deed(access.transactions, wish) as tried:
        actor = tried.actor
        person, factors = await repository.read(tried.session, actor.person_id)
    if person.is_locked(wish.now) or not await access.passwords.matches(present, factors.password_hash):
        await _refuse(access, wish, actor.person_id)
    try:
        new_hash = await enrolments.new_password(access, person, new)
    except (PasswordWeak, PasswordRepeated) as refusal:
        await record_refusal(
            access.transactions, wish.action, actor.label, wish.subject, refusal, origin=wish.origin, now=wish.now
        )
        raise
    async with deed(access.transactions, wish) as tried:
        _, locked = await repository.lock(tried.session, actor.person_id)
        if locked.password_hash != factors.password_hash:
            raise SignInRefused()
        await repository.keep_password(tried.session, actor.person_id, new_hash, now=wish.now)
        ended = await sign_ins.end_others(tried.session, actor, now=wish.now)
        await tried.record(actor.label, ended_sign_ins=ended)


async def _refuse(access: Access, wish: Wish, person_id: str) -> None:
    async with access.transactions() as session:
        await count_failure(session, person_id, wish.origin, wish.now)
    refusal, who = SignInRefused(), f"person:{person_id}"
    await record_refusal(access.transactions, wish.action, who, who, refusal, origin=wish.origin, now=wish.now)
    raise refusal
