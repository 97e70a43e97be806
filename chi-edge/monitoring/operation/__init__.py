"""What an operation of `hearthwatch-emulator operate` leaves, asked with the rules: which alerts its incidents raise."""
