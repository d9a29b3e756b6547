"""Restores faces in film and video with GPEN (GAN Prior Embedded Network)."""
