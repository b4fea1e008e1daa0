"""Reviewing segmentations: several readers, offline or on a shared disk, nothing overwritten and nothing lost.

A study is a folder::

    study.json                                       its random id and the order of its cases
    cases/<case_id>/case.json                        images by role, by reference: NIfTI, BIDS or DICOM
    cases/<case_id>/models/<model>-<hash8>.json      where a model's result folder is, and the hash of its mask
    cases/<case_id>/models/<model>-<hash8>/          the result folder itself, where it was copied in
    adjudicators/<reader>.json                       who settles what the readers disagree on
    readers/<reader>/events/<time>-<random>.json     one thing that the reader did
    readers/<reader>/segmentations/<sha256>.seg.nrrd one version that the reader made, named by its content
    index.sqlite                                     a cache of the events, which may be deleted at any time

Readers are pseudonyms. Each only ever adds files to the own folder, and every file is written beside, flushed to the
disk and then given a name that was free. So two readers never collide, and a kill or a full disk at any moment leaves
whole files only. Where a reader stands is the fold over the events (``state``); files that are no whole events are
left out, and ``check_study`` names them. Paths are relative to the file that holds them, so that a study and its
images can be moved together.

Case ids are chosen by the user. Patient ids of a case table become ``patient-001`` and so on; nothing is ever copied
from an image's header. A reader sees the others' marks on a case only after deciding on it; an
adjudicator, who has read nothing before, sees all and has the last word.
"""

from __future__ import annotations

from StrokeSegLib.review.adjudication import Disagreement, disagreements, name_adjudicator
from StrokeSegLib.review.check import Finding, check_study
from StrokeSegLib.review.desk import (
    CaseFiles,
    accept,
    accept_lesion,
    add_comment,
    case_files,
    close_case,
    correct,
    current_version,
    flag,
    open_case,
    reject,
    reject_lesion,
    sign,
)
from StrokeSegLib.review.events import KINDS, Event, LesionMark
from StrokeSegLib.review.lesions import LesionRow, first_doubtful
from StrokeSegLib.review.results import ModelResult
from StrokeSegLib.review.reviewed import reviewed_cases
from StrokeSegLib.review.segmentations import read_segmentation, segmentation_path
from StrokeSegLib.review.state import (
    DONE,
    STATUSES,
    CaseReading,
    Comment,
    Decision,
    LesionDecision,
    Signature,
    State,
    fold,
)
from StrokeSegLib.review.study import Study, StudyCase, add_result, create_study, open_study
from StrokeSegLib.review.versions import content_hash
from StrokeSegLib.review.views import case_reading, others, study_state, visible_state
from StrokeSegLib.review.worklist import (
    SORTS,
    WorkItem,
    next_case,
    previous_case,
    resume_case,
    upcoming,
    worklist,
)

__all__ = [
    "DONE",
    "KINDS",
    "SORTS",
    "STATUSES",
    "CaseFiles",
    "CaseReading",
    "Comment",
    "Decision",
    "Disagreement",
    "Event",
    "Finding",
    "LesionDecision",
    "LesionMark",
    "LesionRow",
    "ModelResult",
    "Signature",
    "State",
    "Study",
    "StudyCase",
    "WorkItem",
    "accept",
    "accept_lesion",
    "add_comment",
    "add_result",
    "case_files",
    "case_reading",
    "check_study",
    "close_case",
    "content_hash",
    "correct",
    "create_study",
    "current_version",
    "disagreements",
    "first_doubtful",
    "flag",
    "fold",
    "name_adjudicator",
    "next_case",
    "open_case",
    "open_study",
    "others",
    "previous_case",
    "read_segmentation",
    "reject",
    "reject_lesion",
    "resume_case",
    "reviewed_cases",
    "segmentation_path",
    "sign",
    "study_state",
    "upcoming",
    "visible_state",
    "worklist",
]
