"""What a site looks at before it takes part: its data, as a task sees it."""
