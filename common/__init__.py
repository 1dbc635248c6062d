"""What sites, coordinator and simulator share; imports no sibling package."""
