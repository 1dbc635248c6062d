"""Networks as coordinator and sites share them: built alike, in part sent, in part kept."""
