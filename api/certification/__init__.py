"""Certification of tills: the mandatory and the nasty scenarios, played against a till with faults on its line."""
