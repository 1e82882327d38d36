"""Worker processes for tests: real ones, with engines and deaths of the tests' own."""
