"""One binary XGBoost model grown by several sites: trees, their validation, the hash-chained model, scoring."""
