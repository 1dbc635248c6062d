"""What is done ahead comes in order, is little, and raises in its place."""

from __future__ import annotations

import threading

import pytest

from client.preprocessing.ahead import ahead


@pytest.mark.parametrize("workers", [1, 3])
def test_in_order_and_no_more_than_twice_the_workers(workers: int) -> None:
    begun, lock = [], threading.Lock()

    def counted(item: int) -> int:
        with lock:
            begun.append(item)
        return -item

    found = ahead(counted, range(20), workers)
    for taken in range(1, 6):
        assert next(found) == 1 - taken
        assert len(begun) <= taken + 2 * workers
    found.close()  # type: ignore[attr-defined]
    assert len(begun) <= 5 + 2 * workers


def test_what_is_raised_comes_in_its_place() -> None:
    found = ahead(lambda item: 1 // item, [1, 1, 0, 1], 2)
    assert [next(found), next(found)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)
