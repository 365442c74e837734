"""Conversions that are killed, run out of disk or meet failing calls, and must lose nothing."""
