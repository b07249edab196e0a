"""Math answers: extraction, an own parser, and exact equality."""
