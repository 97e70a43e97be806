"""What the kernel's files say, in cgroups of both versions."""

import re

import pytest

from engine import Failed, NotInTime, group, kibibytes, processor_seconds, run, until

BOTH = "24:hugetlb:/\n4:memory:/libpod_parent/libpod-ab\n2:cpu,cpuacct:/libpod_parent/libpod-ab\n0::/\n"


def test_a_controller_of_version_1_has_a_folder_of_its_own() -> None:
    assert group(BOTH, "memory") == ("memory/libpod_parent/libpod-ab", 1)


def test_two_controllers_of_version_1_may_share_a_folder() -> None:
    assert group(BOTH, "cpuacct") == ("cpuacct/libpod_parent/libpod-ab", 1)


def test_in_version_2_all_controllers_are_in_one_folder() -> None:
    assert group("0::/machine.slice/libpod-ab.scope\n", "memory") == ("machine.slice/libpod-ab.scope", 2)


def test_the_kernels_kilobytes_become_bytes() -> None:
    assert kibibytes("VmHWM:\t   24228 kB\nVmRSS:\t   17988 kB\n", "VmRSS") == 17988 * 1024


def test_a_line_that_is_not_there_counts_as_nothing() -> None:
    assert kibibytes("Name:\tagent\n", "VmRSS") == 0


def test_both_versions_count_processor_time_in_their_own_unit() -> None:
    assert processor_seconds("1500000000\n", 1) == 1.5
    assert processor_seconds("usage_usec 1500000\nuser_usec 7\n", 2) == 1.5


def test_what_does_not_come_in_time_is_named() -> None:
    with pytest.raises(NotInTime, match=r"^the broker: not within 0 s$"):
        until("the broker", 0, lambda: None)


def test_a_program_that_fails_is_named_with_what_it_said() -> None:
    sentence = "`sh -c echo no such image >&2; exit 7 …` ended with 7: no such image"
    with pytest.raises(Failed, match=f"^{re.escape(sentence)}$"):
        run("sh", "-c", "echo no such image >&2; exit 7")
