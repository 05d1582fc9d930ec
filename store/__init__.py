"""What Linli remembers: tables, the database, its migrations and the files beside it."""
