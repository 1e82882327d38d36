"""The tests, in folders by kind: unit (no socket), contract, integration (real servers), e2e."""
