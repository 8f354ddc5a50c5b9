"""PostgreSQL: roles, migrations, pools, reading and writing frames; this layer never commits."""
