"""What the parts of a local cluster are started with."""

import os

from localcluster.parts import GO_MEMORY_SHARE, go_environment


def test_go_collects_less_often_but_never_takes_all_memory() -> None:
    settings = go_environment()
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert int(settings["GOGC"]) > 100
    assert 0 < int(settings["GOMEMLIMIT"]) <= memory_bytes / GO_MEMORY_SHARE
