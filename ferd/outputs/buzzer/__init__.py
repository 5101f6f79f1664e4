"""What the driver hears and sees at once, without any network: a buzzer, two lamps and a button on GPIO pins."""
