"""What is asked of finished records: compared, broken down, held against noise."""
