"""The CRM-shaped database: tables, migrations, and every SQL statement about calls, customers and work."""
