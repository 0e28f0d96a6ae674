"""Registers (реестры): files of operations that banks send, read and written by profiles, and checked against ours."""
