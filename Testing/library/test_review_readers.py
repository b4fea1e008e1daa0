"""What readers do, where they stand afterwards, and what each may see."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from review_studies import GRID, LEFT, RIGHT, cases_on_disk, mask, small_study

from StrokeSegLib.case_table import read_case_table, table_sha256, write_case_table
from StrokeSegLib.cli import main
from StrokeSegLib.errors import InputError
from StrokeSegLib.review import (
    Event,
    Study,
    accept,
    accept_lesion,
    add_comment,
    case_files,
    case_reading,
    close_case,
    content_hash,
    correct,
    create_study,
    current_version,
    first_doubtful,
    flag,
    fold,
    next_case,
    open_case,
    open_study,
    others,
    previous_case,
    read_segmentation,
    reject,
    reject_lesion,
    resume_case,
    reviewed_cases,
    sign,
    study_state,
    upcoming,
    visible_state,
    worklist,
)
from StrokeSegLib.review.events import NotAnEventError, decode, encode, new_name
from StrokeSegLib.volume import Volume


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return small_study(tmp_path)


def test_an_event_says_who_when_which_case_which_version_and_what(study: Study) -> None:
    of_model = study.results("case-001")[0].version
    event = flag(study, "AB", "case-001", reason="motion", comment="repeat the scan")
    path = study.folder / "readers" / "AB" / "events" / event.name
    content = json.loads(path.read_text())
    assert {key: content[key] for key in ("reader", "case_id", "kind", "based_on", "reason", "comment")} == {
        "reader": "AB", "case_id": "case-001", "kind": "flagged", "based_on": of_model, "reason": "motion",
        "comment": "repeat the scan",
    }  # fmt: skip
    assert content["at_utc"] == event.at_utc
    assert event.name.startswith(event.at_utc.replace("-", "").replace(":", "").replace(".", ""))
    assert (study.events(), open_study(study.folder).events()) == ((event,), (event,))


def test_an_event_that_lost_or_changed_any_byte_is_none() -> None:
    name, at_utc = new_name()
    event = Event(name, at_utc, "AB", "case-001", "closed", "a" * 64, seconds=12.5, comment="naïve")
    content = encode(event)
    assert decode(name, "AB", content) == event
    for position in range(len(content)):
        changed = content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
        for wrong in (content[:position], changed):
            try:
                decoded = decode(name, "AB", wrong)
            except NotAnEventError:
                continue
            assert decoded == event, "only white space may differ"
    with pytest.raises(NotAnEventError, match="folder of CD"):
        decode(name, "CD", content)
    with pytest.raises(NotAnEventError, match="time"):
        decode(new_name(name)[0], "AB", content)


def test_names_sort_as_things_happened_even_when_the_clock_is_set_back() -> None:
    future = "20991231T235959999999Z-0123456789abcdef.json"
    name, at_utc = new_name(future)
    assert name > future
    assert at_utc == "2100-01-01T00:00:00.000000Z"
    assert new_name()[0] < future


def test_a_reading_goes_from_new_to_signed_and_a_change_makes_the_signature_void(study: Study) -> None:
    case = "case-002"
    assert case_reading(study, "AB", case).status == "new"
    open_case(study, "AB", case)
    assert case_reading(study, "AB", case).status == "opened"
    with pytest.raises(InputError, match="a decision is needed"):
        sign(study, "AB", case)
    drawn = correct(study, "AB", case, mask((LEFT, 3)), comment="right one is a vein")
    assert (drawn.based_on, drawn.version) == (study.results(case)[0].version, content_hash(mask((LEFT, 3))))
    accept(study, "AB", case)
    signed = sign(study, "AB", case)
    close_case(study, "AB", case, 30.5)
    open_case(study, "AB", case)
    close_case(study, "AB", case, 9.5)
    reading = case_reading(study, "AB", case)
    assert (reading.status, reading.version, reading.seconds) == ("accepted", drawn.version, 40.0)
    assert reading.signature is not None
    assert (reading.signature.version, reading.signature.event) == (drawn.version, signed.name)
    assert [comment.text for comment in reading.comments] == ["right one is a vein"]

    correct(study, "AB", case, mask((LEFT, 2)))
    again = case_reading(study, "AB", case)
    assert (again.status, again.signature) == ("corrected", None)
    assert again.first_decision is not None
    assert again.first_decision.version == drawn.version
    reject(study, "AB", case, reason="wrong sequence")
    assert (case_reading(study, "AB", case).status, case_reading(study, "AB", case).reason) == (
        "rejected",
        "wrong sequence",
    )
    assert {e.kind for e in study.events()} == {
        "opened",
        "corrected",
        "accepted",
        "signed",
        "closed",
        "resumed",
        "rejected",
    }


def test_the_state_does_not_depend_on_the_order_in_which_files_are_found(study: Study) -> None:
    for reader in ("AB", "CD"):
        open_case(study, reader, "case-001")
        accept(study, reader, "case-001")
        flag(study, reader, "case-002", reason="unsure")
        accept_lesion(study, reader, "case-002", 1, (1.0, 2.0, 3.0))
    events = list(study.events())
    expected = study_state(study)
    for seed in range(20):
        random.Random(seed).shuffle(events)
        assert fold(events) == expected


def test_rejected_lesions_are_gone_from_what_is_accepted(study: Study) -> None:
    case = "case-002"
    small = case_files(study, "AB", case).lesions[1]
    assert small.volume_ml == pytest.approx(8 * 0.02)
    reject_lesion(study, "AB", case, small.label, small.centroid_ras_mm, reason="artifact")
    assert [row.decision for row in case_files(study, "AB", case).lesions] == [None, "rejected"]
    accepted = accept(study, "AB", case)
    assert accepted.version == content_hash(mask((LEFT, 3)))
    assert [event.kind for event in study.events()] == ["lesion-rejected", "corrected", "accepted"]
    assert accept(study, "AB", case).version == accepted.version, "nothing more is taken out"
    large = case_files(study, "AB", case).lesions[0]
    assert (large.mean_probability, large.side) == (0.8, "right"), "untouched, so the model's numbers still hold"

    reject_lesion(study, "AB", case, large.label, large.centroid_ras_mm)
    assert case_reading(study, "AB", case).status == "corrected", "what was accepted is no more what the lesions say"
    accept_lesion(study, "AB", case, large.label, large.centroid_ras_mm)
    assert accept(study, "AB", case).version == accepted.version


def test_a_case_opens_at_the_undecided_lesion_that_the_model_was_least_sure_of(study: Study) -> None:
    case = "case-002"
    files = open_case(study, "AB", case)
    assert [row.mean_probability for row in files.lesions] == [0.8, 0.6]
    assert files.first_doubtful == 1
    accept_lesion(study, "AB", case, 1, files.lesions[1].centroid_ras_mm)
    assert open_case(study, "AB", case).first_doubtful == 0
    accept_lesion(study, "AB", case, 1, files.lesions[0].centroid_ras_mm)
    assert open_case(study, "AB", case).first_doubtful is None
    assert first_doubtful(()) is None
    drawn = correct(study, "AB", case, mask((LEFT, 2), (RIGHT, 2)))
    rows = case_files(study, "AB", case).lesions
    assert (current_version(study, "AB", case), len(rows)) == (drawn.version, 2)
    assert {row.mean_probability for row in rows} == {None, 0.6}


def test_a_correction_lies_on_the_cases_grid_and_holds_labels(study: Study) -> None:
    with pytest.raises(InputError, match="resample it to the first image"):
        correct(study, "AB", "case-001", Volume(mask().array, (2.0, 2.0, 5.0)))
    with pytest.raises(InputError, match="whole numbers"):
        correct(study, "AB", "case-001", GRID.with_array(mask((LEFT, 2)).array * 0.3))
    for act in (reject, flag):
        with pytest.raises(InputError, match="write a few words"):
            act(study, "AB", "case-001", reason=" ")
    with pytest.raises(InputError, match="seconds are 0 or more"):
        close_case(study, "AB", "case-001", -1)
    assert study.events() == ()


def test_without_a_model_a_reader_draws_before_accepting(tmp_path: Path) -> None:
    study = create_study(tmp_path / "study", cases_on_disk(tmp_path / "images", 1))
    assert case_files(study, "AB", "case-001").version is None
    with pytest.raises(InputError, match="no segmentation that could be accepted"):
        accept(study, "AB", "case-001")
    correct(study, "AB", "case-001", mask())
    assert accept(study, "AB", "case-001").version == content_hash(mask())
    reject(study, "CD", "case-001", reason="no brain")
    assert sign(study, "CD", "case-001").version is None
    assert case_reading(study, "CD", "case-001").signature is not None


def test_the_others_marks_are_hidden_until_a_reader_is_done(study: Study) -> None:
    accept(study, "AB", "case-001")
    add_comment(study, "AB", "case-002", "a hint")
    assert others(study, "CD", "case-001") == {}
    assert visible_state(study, "CD") == {}
    open_case(study, "CD", "case-001")
    correct(study, "CD", "case-001", mask((LEFT, 2)))
    assert set(visible_state(study, "CD")["case-001"]) == {"CD"}
    assert current_version(study, "CD", "case-001") == content_hash(mask((LEFT, 2)))
    flag(study, "CD", "case-001", reason="unsure")
    assert others(study, "CD", "case-001")["AB"].status == "accepted"
    assert others(study, "CD", "case-002") == {}, "the other case is still to be read"
    correct(study, "CD", "case-001", mask((LEFT, 3)))
    decision = case_reading(study, "CD", "case-001").first_decision
    assert decision is not None
    assert (decision.status, decision.version) == ("flagged", content_hash(mask((LEFT, 2)))), "blind, for agreement"


def test_the_list_sorts_and_filters_by_the_models_numbers(tmp_path: Path) -> None:
    study = small_study(tmp_path, 4)  # one cube at 0.9; two, 0.8 and 0.6; none; one cube at 0.9
    one, two, none, four = study.case_ids

    def ids(**how: object) -> list[str]:
        return [item.case_id for item in worklist(study, "AB", **how)]  # type: ignore[arg-type]

    assert ids(sort="table") == [one, two, none, four]
    assert ids(sort="uncertainty") == [two, one, four, none]
    assert ids(sort="largest") == [two, one, four, none]
    assert ids(only_needs_human=True) == [two]
    assert ids(sort="needs-human")[0] == two
    first = next(item for item in worklist(study, "AB") if item.case_id == two)
    assert (first.volume_ml, first.lesion_count, first.needs_human) == (pytest.approx(0.7), 2, True)
    assert first.uncertainty == pytest.approx(0.4)
    assert "borderline" in first.reasons[0]

    orders = {seed: ids(sort="random", seed=seed) for seed in range(12)}
    assert len(set(map(tuple, orders.values()))) > 4
    assert all(sorted(order) == sorted(study.case_ids) for order in orders.values())
    accept(study, "AB", orders[0][1])
    left = ids(sort="random", seed=0, statuses=["new"])
    assert left == [each for each in orders[0] if each != orders[0][1]], "the others keep their places"
    assert ids(statuses=["accepted"]) == [orders[0][1]]
    with pytest.raises(InputError, match="got 'smallest'"):
        ids(sort="smallest")
    with pytest.raises(InputError, match=r"got .*'done'"):
        ids(statuses=["done"])


def test_a_reader_walks_the_list_and_takes_it_up_where_it_stopped(study: Study) -> None:
    one, two, three = study.case_ids

    def items() -> tuple:  # type: ignore[type-arg]
        return worklist(study, "AB", sort="table")

    assert [next_case(items(), at) for at in (None, one, three)] == [one, two, None]
    assert [previous_case(items(), at) for at in (None, one, three)] == [None, None, two]
    assert resume_case(study, "AB", items()) == one
    open_case(study, "AB", two)
    close_case(study, "AB", two, 5)
    accept(study, "CD", three)
    assert resume_case(open_study(study.folder), "AB", items()) == two, "left undone"
    accept(study, "AB", two)
    assert resume_case(study, "AB", items()) == three
    assert upcoming(items(), one) == (three,), "what is done need not be loaded ahead"
    accept(study, "AB", three)
    assert resume_case(study, "AB", items()) == one
    flag(study, "AB", one, reason="unsure")
    assert (resume_case(study, "AB", items()), upcoming(items(), None)) == (None, ())


def test_accepted_cases_become_a_case_table_with_the_readers_name(study: Study, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the 3 cases"):
        reviewed_cases(study)
    accept(study, "AB", "case-001")
    correct(study, "CD", "case-001", mask((LEFT, 2)))
    accept(study, "CD", "case-001")
    correct(study, "AB", "case-002", mask((RIGHT, 2)))  # corrected, not accepted
    sign(study, "CD", "case-001")
    (case,) = reviewed_cases(study)
    assert (case.case_id, case.patient_id, case.truth_by) == ("case-001", "patient-001", "CD")
    assert case.lesion is not None
    assert case.lesion.name == f"{content_hash(mask((LEFT, 2)))}.seg.nrrd"
    sign(study, "AB", "case-001")
    assert [case.truth_by for case in reviewed_cases(study)] == ["AB"], "signed last"
    assert reviewed_cases(study)[0].lesion == study.results("case-001")[0].segmentation
    (of_cd,) = reviewed_cases(study, "CD")
    assert of_cd == case

    write_case_table([of_cd], tmp_path / "table.csv")
    (read,) = read_case_table(tmp_path / "table.csv")
    assert read.truth_by == "CD"
    assert read.lesion is not None
    assert read.lesion.resolve() == case.lesion
    assert table_sha256([read]) == table_sha256([of_cd]) != table_sha256(reviewed_cases(study, "AB"))


def test_the_command_makes_checks_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_study(tmp_path / "other")
    table, out = tmp_path / "cases.csv", tmp_path / "study"
    write_case_table(cases_on_disk(tmp_path / "images", 3), table)
    words = ["review", "create", "--out", str(out), "--cases", str(table)]
    assert main([*words, "--results", str(tmp_path / "other" / "results")]) == 0
    assert "3 cases, 3 with a model's result" in capsys.readouterr().err
    study = open_study(out)
    accept(study, "AB", "case-001")
    sign(study, "AB", "case-001")
    close_case(study, "AB", "case-001", 60)

    assert main(["review", "status", str(out)]) == 0
    assert "AB: 2 new, 1 accepted; 1 signed; 1.0 min" in capsys.readouterr().out
    assert main(["review", "status", str(out), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["readers"]["AB"]["cases"]["accepted"] == 1
    assert content["cases"]["case-001"]["AB"]["version"] == study.results("case-001")[0].version
    assert main(["review", "table", str(out), "--out", str(tmp_path / "reviewed.csv")]) == 0
    assert table_sha256(read_case_table(tmp_path / "reviewed.csv")) in capsys.readouterr().err
    assert main(["review", "check", str(out)]) == 0
    (out / "readers" / "AB" / "events" / "stray.json").write_text("{}")
    capsys.readouterr()
    assert main(["review", "check", str(out)]) == 2
    assert "readers/AB/events/stray.json: no event" in capsys.readouterr().out

    for wrong in (
        words,
        ["review", "status", str(tmp_path)],
        ["review", "table", str(out), "--out", "x", "--reader", "ZZ"],
    ):
        assert main(wrong) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_every_version_that_an_event_names_can_be_read_again(study: Study) -> None:
    versions = [correct(study, "AB", "case-001", mask((LEFT, side))).version for side in (1, 2, 3, 2)]
    assert versions[1] == versions[3]
    sums = [int(read_segmentation(study, "case-001", version).array.sum()) for version in versions if version]
    assert sums == [1, 8, 27, 8]
