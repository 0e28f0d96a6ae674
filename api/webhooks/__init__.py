"""Webhooks (вебхуки): merchants' own addresses that are told of events.

``webhook`` holds the value and its rules, ``signing`` the signature, ``keeping`` and ``replaying`` what a caller may
do, ``sending`` what the worker does.
"""
