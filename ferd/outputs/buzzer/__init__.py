"""Report to the driver at once and without a network: a buzzer, two LEDs and a button on GPIO pins."""
