"""What is stored of earlier runs, for each machine by its fingerprint."""
