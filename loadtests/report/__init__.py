"""The report: everything that can be measured of Feira, by one command, in tables and charts."""
