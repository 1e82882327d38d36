"""Real servers for the tests: started on free ports by a fixture, stopped at the end."""
