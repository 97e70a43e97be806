"""The services that the tests run against: two real ones, and doubles of three."""
