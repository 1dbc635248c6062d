"""The tamper-evident audit log; standard library and ``cryptography`` only, so that auditors can run it alone."""
