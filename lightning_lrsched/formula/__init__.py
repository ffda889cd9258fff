"""Pure mathematics and words: nothing here knows torch, Lightning or a run that is under way."""
