"""Published tables: a registered set of linked tables, protected together by suppression and audited."""
