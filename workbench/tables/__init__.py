"""The database's tables as sqlalchemy `Table`s, one module per schema; the DDL itself is in `sql/`."""
