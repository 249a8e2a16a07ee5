"""What runs by itself: idempotent jobs, one thread, one lease (DESIGN 3)."""
