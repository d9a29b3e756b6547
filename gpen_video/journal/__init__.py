"""What a run has done, on disk, so that it can be killed at any moment and go on: the journal and its folder."""

from gpen_video.journal.journal import Journal, Written, go_on, read_journal, start_journal, sync_file, sync_folder
from gpen_video.journal.work_folder import WorkFolder, held, work_folder_of, work_folders_in

__all__ = [
    "Journal",
    "WorkFolder",
    "Written",
    "go_on",
    "held",
    "read_journal",
    "start_journal",
    "sync_file",
    "sync_folder",
    "work_folder_of",
    "work_folders_in",
]
