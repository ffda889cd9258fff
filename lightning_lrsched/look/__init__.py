"""What a person asks for before a run: the LRs of this very fit, pictures, the bounds of a range test."""
