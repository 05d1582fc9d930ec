"""Pure judgement of texts: how urgent a repair report is."""
