"""Reporting: metrics, tables, figures and pages made of records; no torch."""
