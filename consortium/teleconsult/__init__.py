"""Teleconsult: a booking of a specialist's time for a patient who stays at the clinic."""
