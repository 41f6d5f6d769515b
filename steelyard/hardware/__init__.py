"""Devices and facts of this host. Imports no framework."""
