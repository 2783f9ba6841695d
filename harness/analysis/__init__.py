"""Analysis of finished records: compared, broken down, and checked against noise."""
