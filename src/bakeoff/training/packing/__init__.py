"""Passes over tokens of many sequences packed into one row, without padding."""
