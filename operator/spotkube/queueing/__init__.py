"""Who runs next: the fair queue's order, its quotas and budgets, and what is admitted, reserved and preempted."""
