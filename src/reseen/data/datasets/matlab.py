"""Tables in MATLAB files."""

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from reseen.errors import ReseenError


def read_table(path: Path, key: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Read one table of whole numbers out of a MATLAB file, shape (rows, columns).

    The published tables are unsigned and 16 bits wide in part; here they are int64, so that
    subtracting 1 cannot wrap around.

    Raises:
        ReseenError: the file is missing, is not a MATLAB file, or lacks the table or its numbers.
    """
    try:
        with path.open("rb") as stream:
            table = scipy.io.loadmat(stream, variable_names=[key]).get(key, np.empty(0))
        numbers = np.atleast_2d(np.asarray(table).astype(np.int64))
    except FileNotFoundError as error:
        raise ReseenError(f"{path} does not exist") from error
    except Exception as error:  # scipy raises many kinds for a file that is not what it claims
        raise ReseenError(f"{path} cannot be read as a MATLAB file: {error}") from error
    if numbers.size == 0:
        raise ReseenError(f"{path} has no table {key}")
    return numbers
