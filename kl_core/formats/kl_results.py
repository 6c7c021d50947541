"""Result files (`*_kl.json`): reading and writing in one place to import from."""

from kl_core.formats.kl_read import is_result, read_result
from kl_core.formats.kl_write import ResultWriter, encode_result, result_object, statistics
from kl_core.formats.numbers import read_number
from kl_core.formats.result_names import ResultNames, result_name

__all__ = [
    "ResultNames",
    "ResultWriter",
    "encode_result",
    "is_result",
    "read_number",
    "read_result",
    "result_name",
    "result_object",
    "statistics",
]
