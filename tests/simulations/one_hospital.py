"""What plans of films at one SYNTHETIC hospital begin with, after their name and title."""

BEGINNING = """
task = "crd8"
labels = ["asthma"]
modalities = ["table", "images"]
seeds = [3]
resampling = "none"
[data]
source = "mimic_cxr"
[sites]
partition = "hospital"
names = ["hospital-1"]
quorum = 1
deadline_seconds = 600
on_missing = "fail"
[split]
folds = 2
held_out = [0]
[trees]
learning_rate = 0.3
max_depth = 2
row_fraction = 1.0
column_fraction = 1.0
[[stages]]
kind = "statistics"
"""
