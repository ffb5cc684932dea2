"""The report of a network: one HTML file, with the network in it."""
