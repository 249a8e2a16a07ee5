"""Referrals: a clinic asks a hospital to see a patient, up to the report and its reading."""
