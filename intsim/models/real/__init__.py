"""What is real: float32 twins, the folders their weights lie in, and text to judge them on."""
