"""The outside world: messengers, pages, delivery, the clock, settings and the command line."""
