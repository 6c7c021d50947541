"""Readers and writers of response files, and the alignment of their tokens."""
