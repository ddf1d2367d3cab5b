"""The courier: the Flower node of a country. It carries bytes and sees no rows."""
