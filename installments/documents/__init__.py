"""Documents of plans (документы по плану): what is shown to buyers, kept as the bytes that were shown."""
