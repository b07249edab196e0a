"""The data sets of reasoning-gym as environments; only workers import the package itself."""
