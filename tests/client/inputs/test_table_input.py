from __future__ import annotations

import numpy as np
import pytest

from client.inputs.table import TableInput
from common.clinical.features import Features
from common.exceptions import DataError

NAN = np.nan


def features(names: tuple[str, ...], rows: list[list[float]]) -> Features:
    return Features(np.array(rows, np.float32), names, ("",) * len(names))


def test_by_hand() -> None:
    given = TableInput(features(("age", "sodium"), [[35, 146], [NAN, 139], [NAN, NAN]]))
    values, known = given.batch(np.array([2, 0, 1]))
    np.testing.assert_allclose(values, [[0, 0], [-1, 1], [0, 0]], atol=1e-6)
    assert known.tolist() == [[0, 0], [1, 1], [0, 1]]
    assert given.present.tolist() == [True, True, False]
    assert given.shape.columns == 2
    assert given.batch(np.array([], np.int64))[0].shape == (0, 2)


def test_a_column_without_a_public_scale_is_refused() -> None:
    with pytest.raises(DataError, match="moonlight"):
        TableInput(features(("moonlight",), [[1]]))
