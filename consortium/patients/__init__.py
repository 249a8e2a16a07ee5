"""Patients of a member: index, search before register, matching, what is known of them now."""
