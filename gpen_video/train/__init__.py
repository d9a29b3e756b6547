"""Training of what ships: the content stage of GPEN, and the detector. No command line yet."""
