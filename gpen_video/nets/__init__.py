"""Networks as torch modules only: no files, no devices, no settings."""
