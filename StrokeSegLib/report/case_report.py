"""The report of a case, from a result folder to a folder of files: page, PDF, JSON, and DICOM where asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from StrokeSegLib.errors import InputError
from StrokeSegLib.report.case_content import Signature, build_content
from StrokeSegLib.report.case_files import CaseFiles, read_case
from StrokeSegLib.report.case_page import case_page
from StrokeSegLib.report.case_pdf import case_pdf
from StrokeSegLib.report.case_pictures import key_slices
from StrokeSegLib.report.dicom_results import dicom_results
from StrokeSegLib.report.optional import needed
from StrokeSegLib.report.source_series import SourceSeries, check_source, quiet_dicom, read_source
from StrokeSegLib.result_folder import check_target, staged_results

FOLDER = "report"


@dataclass(frozen=True)
class ReportRequest:
    """What is to be reported.

    Attributes:
        result: A folder that ``strokeseg segment`` wrote.
        out: Where the report goes; ``report`` in the result folder when None.
        mask: A reader's corrected mask; ``corrected.nii.gz`` of the result folder, where it is, when None.
        source: The DICOM series that was segmented; the first input when None.
        patient: Whether page, PDF and JSON say whose scan it is.
        signature: Who accepted the result.
        dicom: Whether DICOM SEG and SR are written.
    """

    result: Path
    out: Path | None = None
    mask: Path | None = None
    source: str | None = None
    patient: bool = False
    signature: Signature | None = None
    dicom: bool = False


def write_case_report(request: ReportRequest, *, force: bool = False) -> list[str]:
    """Writes report.html, report.json, report.pdf, and lesion-seg.dcm and measurements-sr.dcm where asked for.

    Files appear all together or not at all. Without ReportLab there is no PDF, which is said.

    Returns:
        Sentences for the user.

    Raises:
        InputError: No result folder, no DICOM series where one is needed, a package is missing, or the folder holds a
            report already and ``force`` is False.
    """
    out = request.out or request.result / FOLDER
    case = read_case(request.result, request.mask)
    if out.resolve() == request.result.resolve():
        raise InputError(
            f"{out} is the result folder itself, the report needs its own: leave --out away, or name another"
        )
    check_target(out, force=force)
    series = _series(case, request)
    patient = series.patient() if series is not None and request.patient else None
    content = build_content(case, request.signature, patient, datetime.now(UTC))
    picture, caption = key_slices(case)
    told = [] if picture is not None else [caption]
    documents = dicom_results(case.labels, content, series) if request.dicom and series is not None else {}
    try:
        pdf = case_pdf(content, picture, caption)
    except InputError as error:
        pdf, told = None, [*told, f"no PDF was written: {error}"]
    with staged_results(out, force=force) as folder:
        (folder / "report.html").write_text(case_page(content, picture, caption), encoding="utf-8")
        (folder / "report.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if pdf is not None:
            (folder / "report.pdf").write_bytes(pdf)
        for name, document in documents.items():
            with quiet_dicom():
                document.save_as(folder / name, enforce_file_format=True)
    return [*told, f"the report is in {out}"]


def _series(case: CaseFiles, request: ReportRequest) -> SourceSeries | None:
    """The DICOM series, read only where something of it is needed."""
    if not (request.dicom or request.patient):
        return None
    if request.dicom:
        needed("highdicom", "DICOM SEG and SR")
    source = request.source or case.first_input
    series = read_source(source)
    check_source(series, source, case.labels)
    return series
