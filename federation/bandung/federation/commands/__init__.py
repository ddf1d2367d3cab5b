"""The commands of the federation: coordinators, couriers, jobs, models, queries to many countries, sandboxes."""
