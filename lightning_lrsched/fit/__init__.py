"""One fit from its beginning to its end: whose groups, where the run stands, what is written, who else writes."""
