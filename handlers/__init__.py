"""What happens: plain synchronous functions over one transaction, which never commit and never touch a network."""
