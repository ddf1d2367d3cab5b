"""Training across countries: the exchange of steps, and the strategies that turn sums into models."""
