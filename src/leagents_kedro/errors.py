"""The errors that a user of the loop can meet: each says what, where, and the likely fix.

LeAgentsError
├── ParameterError      a parameter, task, or environment
├── EpisodesError       a LeRobotDataset; Kedro's DatasetError is another thing: an entry of the catalog
│   └── CoverageError   a task without episodes
├── CheckpointError     a checkpoint
├── TrainingError       the loss, the policy
├── SimulationError     an environment, a rollout
├── EvidenceError       recorded outcomes
├── LedgerError         the ledger, what it has the next cycle start from, or another driver that holds it
├── ConstitutionError   a command beyond the limits
├── StorageError        a file or folder that this user, or this file system, cannot use as the loop needs it
└── AwaitingApproval    no fault: a person is asked

On the command line all of them end with code 1 and one line, but for AwaitingApproval, which ends the loop with code 0.
"""


class LeAgentsError(Exception):
    """A fault that the loop found and can name; nothing was written."""


class ParameterError(LeAgentsError):
    """A parameter, task, or environment is unknown or out of range."""


class EpisodesError(LeAgentsError):
    """A LeRobotDataset is empty, unfinished, of another version, or does not fit."""


class CoverageError(EpisodesError):
    """A task of the suite has no episodes to train on."""


class CheckpointError(LeAgentsError):
    """A checkpoint is incomplete or does not fit what it is used for."""


class TrainingError(LeAgentsError):
    """Training cannot go on: the loss or the policy is broken."""


class SimulationError(LeAgentsError):
    """An environment or a rollout broke its contract."""


class EvidenceError(LeAgentsError):
    """Recorded outcomes cannot be used as evidence: unpaired, duplicate, or missing."""


class LedgerError(LeAgentsError):
    """The ledger is damaged, does not fit the versions that are there, or another driver holds it."""


class ConstitutionError(LeAgentsError):
    """A job would break a limit of the constitution."""


class StorageError(LeAgentsError):
    """A file or folder cannot be used: its file system lacks something, or it is another user's, or a dead link."""


class AwaitingApproval(LeAgentsError):
    """A promotion waits for a person."""
