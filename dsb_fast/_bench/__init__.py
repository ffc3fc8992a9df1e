"""What ``dsb-fast bench`` measures on the user's machine, and what the numbers mean."""
