"""What happens to rows after the built-in attempts: plan, survey, redeliver."""
