"""Two tiny experiments that the faults happen to; installed like anybody's, through the entry-point group."""
