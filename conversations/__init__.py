"""What is asked and what is said: pure, without a database and without a network."""
