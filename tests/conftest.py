"""What holds for every test: hypothesis judges results, not the speed of the machine."""

from hypothesis import settings

settings.register_profile("fedward", deadline=None)
settings.load_profile("fedward")
