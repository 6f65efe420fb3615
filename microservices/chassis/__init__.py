"""What every Feira service needs, and no business: settings, HTTP, database, events, identity."""
