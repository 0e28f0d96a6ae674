"""The command line. Every refusal is one line that says what to do."""

from __future__ import annotations

import sys

from api.cli.lazy import Table, lazy_app

COMMANDS: Table = {
    "demo": (
        "api.cli.demo:demo",
        "Play real purchases from the QR code to balanced books; code 1 when a total does not fit the file.",
    ),
    "up": ("api.cli.up:up", "Start Kopeyka and keep it running; Ctrl-C stops everything."),
    "migrate": ("api.cli.migrate:migrate", "Bring the database up to this release, or say how it differs."),
    "verify": ("api.cli.verify:verify", "Check every proof of the books; code 1 when one does not hold."),
    "explain": (
        "api.cli.explain:explain",
        "Tell what happened to an order, payment, plan, refund or payout: who asked, what was booked, who was told.",
    ),
    "export": ("api.cli.export:export", "Write the book in a form that other tools read."),
    "scan": (
        "api.cli.scan:scan",
        "Look for card numbers where none may be. Code 1: there are some. Code 2: not everything could be read.",
    ),
    "segtest": (
        "api.cli.segtest:segtest",
        "Try to reach the vault from where the api stands; code 1 when something of it was reached.",
    ),
    "evidence": (
        "api.cli.evidence:evidence",
        "Make (or check) a signed pack of evidence for an assessor. Code 1: something does not hold.",
    ),
    "sbom": ("api.cli.components:sbom", "List every component, ours and others', as CycloneDX 1.6."),
    "affected": (
        "api.cli.components:affected",
        "Say whether a package of others is in the product, in such a version, and through whom. Code 1: it is.",
    ),
    "certify": (
        "api.cli.certify:certify",
        "Play the mandatory and the nasty scenarios against a till; code 1 when one of them fails.",
    ),
    "openapi": ("api.cli.openapi:openapi", "Print the API's description (OpenAPI 3.1)."),
    "keys": ("api.cli.keys:app", "API keys: who may call, and what for."),
    "clock": ("api.cli.clock:app", "The business clock of a sandbox; production has the machine's."),
    "vault": ("api.cli.vault:app", "The card vault."),
    "audit": ("api.cli.audit:app", "The log that nobody can rewrite. kopeyka-verify checks what this prints."),
    "bench": ("api.cli.bench:app", "Measure, against a baseline of the same run."),
    "retention": ("api.cli.retention:app", "How long the vault keeps what, and its purges."),
    "sbp": ("api.cli.sbp:app", "The SBP rail."),
    "plans": ("api.cli.plans:app", "Plans: paying in parts."),
    "points": ("api.cli.points:app", "Points: programmes, and what a rule would have done."),
    "stores": ("api.cli.stores:app", "Merchants' stores."),
    "dolyame": ("api.cli.dolyame:app", "Долями: shops' logins, passwords and certificates."),
    "partners": ("api.cli.partners:app", "Partners of the tills' contract: names and hosts."),
}
"""Their lines are the first of their docstrings, or of their groups' help."""

app = lazy_app(
    COMMANDS,
    name="kopeyka",
    help="Kopeyka: a payments and BNPL core. Start with `kopeyka demo` or `kopeyka up`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; what the rules refuse ends with code 1 and one line."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from api.cli.refusals import reason_of, show  # who is not refused starts without every library's errors

        if not (reason := reason_of(error)):
            raise
        show(reason)
        sys.exit(1)


if __name__ == "__main__":
    main()
