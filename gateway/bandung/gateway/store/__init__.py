"""What a gateway keeps: its ledger, catalogue, agreements, jobs and secrets."""
