"""Every error this project raises on purpose.

A message names the values that disagree and what to do next, in one sentence, so
that the command line and the app can show it as it is.
"""


class KLExplorerError(Exception):
    """Base of all of them: catch this to catch any."""


class InputError(KLExplorerError):
    """A file, folder or option that cannot be used (exit code 2 at the prompt)."""


class FormatError(InputError):
    """One file or entry that is not what a reader expects; becomes a problem row.

    Attributes:
        where: the place inside the file, a JSON path such as `$[0].responses[2]`.
        hint: what the user can do about it.
    """

    def __init__(self, reason: str, where: str = "$", hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.where = where
        self.hint = hint


class DistributionError(KLExplorerError, ValueError):
    """Arrays that are not the distributions a measure needs."""


class VocabularyMismatchError(KLExplorerError):
    """Two models, or a model and a file, that do not share what they must share."""


class ModelError(KLExplorerError):
    """A model that cannot be loaded or used as asked."""


class RunError(KLExplorerError):
    """A run folder that is missing, broken, busy or of a newer version."""


class RunCancelled(KLExplorerError):  # noqa: N818 - an ending, not an error
    """The user asked the run to stop; what was finished is kept."""


class RunWaiting(KLExplorerError):  # noqa: N818 - an ending, not an error
    """The run knows what it would cost and waits for someone to say yes."""
