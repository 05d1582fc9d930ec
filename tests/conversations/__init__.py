"""Tests of conversations/."""
