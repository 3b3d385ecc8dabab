"""Where each figure of the Raft paper and each section of the thesis (chapters 3 to 6) is played.

A scenario file says in its first comment what it is about, with the number of figure or section.
"""

import re

import pytest

from tests.controlplane.raft.interaction import SCENARIOS

FIGURES = {
    2: "figure_02_rules",
    3: "figure_03_properties",
    4: "figure_04_roles",
    5: "figure_05_terms",
    6: "figure_06_logs",
    7: "figure_07_followers_that_differ",
    8: "figure_08_earlier_terms",
    9: "figure_09_leader_completeness",
    10: "figure_10_two_majorities",
    11: "figure_11_joint_consensus",
    12: "figure_12_snapshot",
    13: "figure_13_install_snapshot",
}
"""Figure 1 is an overview; 14 to 16 show measurements and a study of students."""

SECTIONS = {
    "3.3": ["figure_04_roles", "figure_05_terms", "stale_leader"],
    "3.4": ["campaign"],
    "3.5": ["figure_06_logs", "figure_07_followers_that_differ", "lost_messages"],
    "3.6.1": ["figure_09_leader_completeness"],
    "3.6.2": ["figure_08_earlier_terms"],
    "3.6.3": ["figure_09_leader_completeness"],
    "3.7": ["thesis_3_7_crashes"],
    "3.8": ["thesis_3_7_crashes", "vote_survives_crash"],
    "3.9": ["figure_05_terms"],
    "3.10": ["transfer", "transfer_aborts", "joint_hand_over"],
    "4.1": ["thesis_4_1_one_at_a_time", "thesis_4_1_the_flaw_of_2015"],
    "4.2.1": ["thesis_4_2_1_catching_up"],
    "4.2.2": ["thesis_4_2_2_removing_the_leader"],
    "4.2.3": ["thesis_4_2_3_disruptive_servers", "check_quorum"],
    "4.2.4": ["thesis_4_2_4_availability"],
    "4.3": ["figure_10_two_majorities", "figure_11_joint_consensus", "joint_reads_and_quorum"],
    "5.1": ["figure_12_snapshot", "figure_13_install_snapshot", "snapshot", "snapshot_fails"],
    "6.2": ["forward", "joint_reads_and_quorum"],
    "6.4": ["read_index", "read_waits_for_own_term"],
}
ELSEWHERE = {
    "4.4": "the driver's: `replica/membership` knows addresses and names",
    "5.1.1": "the driver's: `replica/snapshots` saves while the core goes on",
    "5.1.2": "the driver's: `replica/config` says after how many entries",
    "5.1.3": "the driver's: snapshots are files, streamed in pieces and resumed",
    "5.2": "the state machine is in memory",
    "5.3": "the log is compacted by snapshots alone",
    "5.4": "every member takes its own snapshots",
    "6.1": "the driver's: `replica/joining` asks the peers that it is told of",
    "6.3": "no sessions: as in etcd, an unknown outcome is the client's to look into",
    "6.4.1": "not used: reads would depend on clocks",
}
CHAPTERS = (
    *("3.3", "3.4", "3.5", "3.6.1", "3.6.2", "3.6.3", "3.7", "3.8", "3.9", "3.10"),
    *("4.1", "4.2.1", "4.2.2", "4.2.3", "4.2.4", "4.3", "4.4"),
    *("5.1", "5.1.1", "5.1.2", "5.1.3", "5.2", "5.3", "5.4"),
    *("6.1", "6.2", "6.3", "6.4", "6.4.1"),
)
"""Those that describe behaviour."""


def heading(name: str) -> str:
    first, _, _ = (SCENARIOS / f"{name}.txt").read_text().partition("\n\n")
    return " ".join(line.removeprefix("# ") for line in first.splitlines())


@pytest.mark.parametrize("figure", range(2, 14))
def test_every_figure_of_the_paper_is_played(figure: int) -> None:
    assert re.search(rf"Raft paper, figure {figure}\b", heading(FIGURES[figure]))


@pytest.mark.parametrize("section", CHAPTERS)
def test_every_section_of_the_thesis_is_played_or_is_not_the_core_s(section: str) -> None:
    if section in ELSEWHERE:
        assert section not in SECTIONS
        return
    for name in SECTIONS[section]:
        said = re.findall(r"\d+\.\d+(?:\.\d+)*", heading(name))
        assert section in said, f"{name} says that it is about {said}"
