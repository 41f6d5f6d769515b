"""Damaged files: what somebody else wrote must never end, hang or write anything but what reads it."""
