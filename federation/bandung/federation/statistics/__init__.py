"""Statistics across countries: ask every gateway, combine what they release. Needs no coordinator."""
