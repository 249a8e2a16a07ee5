"""The desk: one worklist row per case and member, drafts, notices, messages inside a case."""
