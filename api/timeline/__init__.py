"""The whole story of one object in order of time: what was asked, what rails said, what was booked, told and logged.

For support in an incident. It reads and changes nothing, and shows no number of a card, no phone and no secret.
"""
