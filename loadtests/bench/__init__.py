"""What Feira costs and how fast it is, beside bare servers and an ideal, measured in one run."""
