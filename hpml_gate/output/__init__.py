"""What a run leaves behind: its record, terminal, test reports, CI formats, pictures."""
