"""The chapters of a report, each measured by a function `run(place, say)`."""
