"""NSPK, the payers and their banks as a network server of its own, with faults to order."""
