"""The shared vocabulary: errors, arrays, configuration, records, paths and text. Starts without torch."""
