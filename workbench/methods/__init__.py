"""The science: one folder a method, found by walking this package; no list of them is kept anywhere."""
