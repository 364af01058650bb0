"""Recipes, steps and the command line: everything a user starts begins here."""
