"""Math environments: questions with one answer, or an expression that can be checked exactly."""
