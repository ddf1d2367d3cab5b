"""Known attacks on protected tables: each must fail against the policy and succeed once the policy is weakened."""
