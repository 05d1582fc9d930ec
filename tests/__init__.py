"""The tests mirror the tree; those of whole matters read like the talks they prove."""
