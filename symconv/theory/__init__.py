"""The nouns of the decision: families, claims, relations, scope, budget, verdicts."""
