"""What runs before integer inference: quantisers, calibration, equivalent transforms, bit allocation."""
