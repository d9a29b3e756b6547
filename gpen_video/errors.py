"""The errors that a user can meet, as a tree.

::

    GpenVideoError
    ├── UsageError                what was asked for cannot be: the command line, the library call      exit 2
    │   ├── ConfigError           a setting or preset is unknown, out of range or of the wrong type
    │   │   └── JobFileError      a list of jobs is wrong; names every error with its line
    │   └── DeviceError           the compute device is not there or cannot do what is asked
    ├── InputError                the source cannot be used                                            exit 3
    │   ├── ProbeError            it cannot be opened, or holds no video that we can decode
    │   ├── DecodeError           it breaks off or is damaged on the way
    │   └── RecordError           a treatment record is damaged, foreign or newer than this program
    ├── WeightsError              the weights cannot be used                                           exit 4
    │   ├── UnknownWeightsError   no such name in the registry, no such file
    │   ├── DownloadError         they could not be fetched, or fetching is forbidden (--offline)
    │   ├── ChecksumError         the file is not the one that the registry describes
    │   └── IncompatibleWeightsError  keys or shapes do not fit the network
    ├── OutputError               the result cannot be written                                         exit 5
    │   ├── EncodeError           the encoder refused the settings or a frame
    │   └── JournalError          what an earlier run left cannot be gone on with
    │       └── InUseError        another run is at work on it
    ├── TrainingError             a training went astray; its last good checkpoint is kept             exit 6
    ├── VerificationError         a result is not what its treatment record says                       exit 7
    ├── BatchError                some films of a batch failed; each is told in its report             exit 8
    └── ClusterError              a cluster cannot be reached, or its workers are lost again and again  exit 9

Every message is one line that says what is wrong, with which file, and what to do. Wrong use by a programmer stays
`ValueError` or `TypeError`.
"""

import errno
from typing import ClassVar


class GpenVideoError(Exception):
    """Base of all errors above; `exit_code` is what the command returns."""

    exit_code: ClassVar[int] = 1


class UsageError(GpenVideoError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting or preset is unknown, out of range or of the wrong type."""


class DeviceError(UsageError):
    """The compute device is not there, or has too little memory for a single face."""


class JobFileError(ConfigError):
    """A list of jobs is wrong; the message has a line for every error."""


class InputError(GpenVideoError):
    """The source cannot be used."""

    exit_code = 3


class ProbeError(InputError):
    """The source cannot be opened, or holds no video that can be decoded."""


class DecodeError(InputError):
    """The source breaks off or is damaged on the way; the message names the frame."""


class RecordError(InputError):
    """A treatment record cannot be read: damaged, of another program, or of a newer version."""


class WeightsError(GpenVideoError):
    """The weights cannot be used."""

    exit_code = 4


class UnknownWeightsError(WeightsError):
    """No such name in the registry and no such file."""


class DownloadError(WeightsError):
    """The weights could not be fetched."""


class ChecksumError(WeightsError):
    """The file is not the one that the registry describes."""


class IncompatibleWeightsError(WeightsError):
    """Keys or shapes of the file do not fit the network."""


class OutputError(GpenVideoError):
    """The result cannot be written."""

    exit_code = 5


class EncodeError(OutputError):
    """The encoder refused the settings or a frame."""


class JournalError(OutputError):
    """What an earlier run left behind cannot be gone on with: damaged, of a newer version, or in use by another run."""


class InUseError(JournalError):
    """Another run is at work on the same result or batch; the message names its process and machine."""


class TrainingError(GpenVideoError):
    """A loss or a weight is no longer a number; the last good checkpoint is kept."""

    exit_code = 6


class VerificationError(GpenVideoError):
    """A result differs from its source where it should not, or from what its treatment record says."""

    exit_code = 7


class BatchError(GpenVideoError):
    """Some films of a batch failed; the others are done."""

    exit_code = 8


class ClusterError(GpenVideoError):
    """A cluster cannot be reached, or its workers are lost again and again."""

    exit_code = 9


def system_reason(error: Exception) -> str:
    """What the system says is wrong, in the words that all messages use.

    Args:
        error: An `OSError`, or an error of FFmpeg's: some of these have the system's numbers but are no `OSError`.
    """
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full; free some space or choose another folder"
    said = getattr(error, "strerror", None) if isinstance(error, OSError) or number in errno.errorcode else None
    return str(said or error)
