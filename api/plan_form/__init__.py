"""The buyer's form of a plan: pages of ours that a shop sends its buyer to, and the plan for as long as it is paid.

Rendered on the server and usable without scripts, but for the card, which is typed into the vault's own form.
"""
