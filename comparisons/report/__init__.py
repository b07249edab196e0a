"""What a comparison found: measures, derived tables, sentences, figures and pages."""
