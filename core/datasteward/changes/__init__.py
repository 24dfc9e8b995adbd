"""Changes: proposed with their real effect, decided on, applied once or not at all, and taken back with proof."""
