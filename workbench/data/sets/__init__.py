"""One module a data set, each defining `DATASET`."""
