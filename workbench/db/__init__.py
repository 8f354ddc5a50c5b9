"""PostgreSQL: roles, migrations, pools, and frames in and out; the layer that moves rows never commits."""
