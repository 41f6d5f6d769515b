"""Supervisor side: noise, energy sources, device locks."""
