"""The launcher on real processes: ends, signals, grandchildren, logs, commands beside, death."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from podling.node.runtime.launcher.protocol import Bind, ExecSpec, LauncherError
from tests.node.runtime.launched import (
    PATH,
    LauncherProcess,
    Watcher,
    alive,
    marked,
    read_pid,
    spec,
)
from tests.waiting import until

BESIDE = {"PATH": PATH}
FOREVER = "while true; do sleep 0.01; done"
OWN = os.getpid()
"""Part of how long those sleep that are looked for: no process of another run sleeps as long."""


@pytest.mark.parametrize(
    ("script", "code", "number"),
    [("exit 0", 0, 0), ("exit 7", 7, 0), ("kill -TERM $$", 143, 15), ("kill -9 $$", 137, 9)],
)
async def test_an_end_gives_the_exit_code(
    watcher: Watcher, script: str, code: int, number: int
) -> None:
    record = await watcher.run("c1", "sh", "-c", script)
    assert (record.exit_code, record.signal, record.message, record.ran) == (code, number, "", True)
    assert 0 < record.started_at <= record.finished_at


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        ("no-such-program", 127, 'exec: "no-such-program": executable file not found in $PATH'),
        ("/no/such/file", 127, 'exec: "/no/such/file": no such file or directory'),
        ("/etc/passwd", 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
async def test_a_command_that_cannot_run_says_why(
    watcher: Watcher, command: str, code: int, text: str
) -> None:
    with pytest.raises(LauncherError, match="exec") as caught:
        await watcher.client.start_process("c1", spec(command))
    assert (caught.value.code, str(caught.value)) == ("start_failed", text)
    record = await watcher.ended("c1")
    assert (record.exit_code, record.message, record.ran) == (code, text, False)


async def test_a_missing_working_folder_is_a_failed_start(watcher: Watcher) -> None:
    with pytest.raises(LauncherError, match="No such file or directory: /no/folder"):
        await watcher.client.start_process("c1", spec("true", cwd="/no/folder"))
    assert (await watcher.ended("c1")).exit_code == 128


async def test_the_process_gets_a_clean_frame(watcher: Watcher, folder: Path) -> None:
    script = """
import os, signal, sys
print(sorted(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), sys.stdin.read() == "")
print(signal.getsignal(signal.SIGPIPE), signal.pthread_sigmask(signal.SIG_BLOCK, []))
print(sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:3], os.listdir("/proc/self/fd")[4:])
"""
    record = await watcher.run(
        "c1", "python3", "-S", "-E", "-c", "import signal\n" + script, env={"PATH": PATH, "A": "1"},
        cwd=str(folder), log_path=str(folder / "0.log"),
    )  # fmt: skip
    lines = [line.split(" ", 3)[3] for line in (folder / "0.log").read_text().splitlines()]
    assert record.exit_code == 0, lines
    assert lines[0].startswith("['A', 'LC_CTYPE', 'PATH', 'PODLING_CONTAINER']") or lines[
        0
    ].startswith("['A', 'PATH', 'PODLING_CONTAINER']")
    assert lines[0].endswith(f"{folder} True True")
    assert lines[1].endswith("set()")
    assert lines[2] == "[0, 1, 2] []"


async def start_with_trap(watcher: Watcher, folder: Path, trap: str, then: str) -> None:
    """Start a shell as c1, and wait until it has set its trap."""
    ready = folder / "ready"
    script = f"{trap}; touch {ready}; {then}"
    await watcher.client.start_process("c1", spec("sh", "-c", script))
    await until(ready.exists, "the trap is set")


async def test_a_signal_that_is_handled_ends_it_with_its_own_code(
    watcher: Watcher, folder: Path
) -> None:
    await start_with_trap(watcher, folder, "trap 'exit 3' TERM", FOREVER)
    record = await watcher.client.stop_process("c1", signal.SIGTERM, 30)
    assert (record.exit_code, record.signal) == (3, 0)


async def test_what_ignores_the_signal_is_killed_after_the_grace(
    watcher: Watcher, folder: Path
) -> None:
    await start_with_trap(watcher, folder, "trap '' TERM", "sleep 60 & wait; :")
    before = time.perf_counter()
    long = watcher.tasks.spawn(watcher.client.stop_process("c1", signal.SIGTERM, 60), name="long")
    record = await watcher.client.stop_process("c1", signal.SIGTERM, 0.2)
    assert (record.exit_code, record.signal) == (137, 9)
    assert 0.1 < time.perf_counter() - before < 50
    assert (await long).exit_code == 137


async def test_the_end_takes_grandchildren_and_daemons_along(
    watcher: Watcher, folder: Path
) -> None:
    script = f"""
sleep 61 & echo $! > {folder}/child
setsid sh -c 'echo $$ > {folder}/daemon; exec sleep 62' &
setsid sh -c 'setsid sh -c "echo \\$\\$ > {folder}/orphan; exec sleep 63" & exit' &
setsid env -i PATH={PATH} sh -c 'echo $$ > {folder}/bare; sleep 64; :' &
while ! [ -s {folder}/child -a -s {folder}/daemon -a -s {folder}/orphan -a -s {folder}/bare ]
do sleep 0.01; done
echo done > {folder}/all; read line < {folder}/fifo
"""
    os.mkfifo(folder / "fifo")
    await watcher.client.start_process("c1", spec("sh", "-c", script))
    await until(lambda: (folder / "all").exists(), "the grandchildren")
    pids = [read_pid(folder / name) for name in ("child", "daemon", "orphan", "bare")]
    assert all(alive(pid) for pid in pids)
    await watcher.client.stop_process("c1", signal.SIGTERM, 0)
    await until(lambda: not any(alive(pid) for pid in pids), f"the end of {pids}")


async def test_the_end_is_told_when_everything_of_it_is_gone(
    watcher: Watcher, folder: Path
) -> None:
    script = f"sleep 61 & echo $! > {folder}/child; setsid sleep 62 & echo $! > {folder}/other"
    await watcher.run("c1", "sh", "-c", script)
    assert not alive(read_pid(folder / "child"))
    assert not alive(read_pid(folder / "other"))


async def test_output_becomes_log_lines_before_the_end_is_told(
    watcher: Watcher, folder: Path
) -> None:
    path = folder / "logs" / "0.log"
    await watcher.run("c1", "sh", "-c", "echo one; echo two >&2; printf three", log_path=str(path))
    lines = [line.split(" ", 1)[1] for line in path.read_text().splitlines()]
    assert sorted(lines) == ["stderr F two", "stdout F one", "stdout P three"]
    assert path.read_text()[10] == "T"


async def test_a_big_log_is_rotated_and_loses_nothing(folder: Path) -> None:
    launched = LauncherProcess(folder, log_bytes=40_000)
    assert launched.start()
    watching = Watcher(launched.socket)
    try:
        await watching.client.start(30)
        path = folder / "0.log"
        script = f"""
for part in 0 1 2 3; do
    i=0; while [ $i -lt 500 ]; do echo line $((part*500+i)); i=$((i+1)); done
    while ! [ -e {folder}/seen-$part ]; do sleep 0.01; done
done
"""
        await watching.client.start_process("c1", spec("sh", "-c", script, log_path=str(path)))
        for part in range(4):
            last = f"line {part * 500 + 499}\n"
            await until(lambda last=last: last in path.read_text(), last)
            (folder / f"seen-{part}").touch()
        await watching.ended("c1")
        text = "".join(
            (folder / name).read_text()
            for name in ("0.log.4", "0.log.3", "0.log.2", "0.log.1", "0.log")
            if (folder / name).exists()
        )
        assert (folder / "0.log.1").exists()
        assert path.stat().st_size <= 70_000
        assert [line.split()[-1] for line in text.splitlines()] == [str(i) for i in range(2000)]
    finally:
        await watching.client.stop()
        launched.close()


async def test_a_log_moved_away_is_reopened(watcher: Watcher, folder: Path) -> None:
    path = folder / "0.log"
    script = f"echo one; while ! [ -e {folder}/go ]; do sleep 0.01; done; echo two"
    await watcher.client.start_process("c1", spec("sh", "-c", script, log_path=str(path)))
    await until(lambda: "one" in path.read_text(), "the first line")
    path.rename(folder / "old.log")
    await watcher.client.reopen_log("c1")
    (folder / "go").touch()
    await watcher.ended("c1")
    assert "two" in path.read_text()
    assert "two" not in (folder / "old.log").read_text()


async def test_a_command_beside_gives_its_output_back(watcher: Watcher, folder: Path) -> None:
    await watcher.client.start_process("c1", spec("sleep", "60"))
    result = await watcher.client.exec(
        "c1", ExecSpec(("sh", "-c", "pwd; echo no >&2; exit 4"), BESIDE, str(folder))
    )
    assert (result.exit_code, result.stdout, result.stderr) == (4, f"{folder}\n".encode(), b"no\n")
    assert not result.timed_out


async def test_a_command_beside_is_killed_by_its_time_out(watcher: Watcher) -> None:
    await watcher.client.start_process("c1", spec("sleep", "60"))
    for timeout in (0.2, 2.0, 20.0):  # a busy machine needs longer to begin
        result = await watcher.client.exec(
            "c1",
            ExecSpec(("sh", "-c", f"echo begun; sleep 60.5{OWN}; :"), BESIDE, "/", timeout=timeout),
        )
        if result.stdout:
            break
    assert (result.timed_out, result.stdout) == (True, b"begun\n")
    await until(lambda: not marked(f"sleep\x0060.5{OWN}"), "the end of the command")


async def test_a_command_beside_ends_with_its_caller_and_with_its_container(
    watcher: Watcher,
) -> None:
    await watcher.client.start_process("c1", spec("sleep", "60"))
    call = watcher.tasks.spawn(
        watcher.client.exec("c1", ExecSpec(("sleep", f"60.6{OWN}"), BESIDE, "/")), name="exec"
    )
    await until(lambda: marked(f"sleep\x0060.6{OWN}"), "the command")
    call.cancel()
    await until(lambda: not marked(f"sleep\x0060.6{OWN}"), "the end of the cancelled command")
    other = watcher.tasks.spawn(
        watcher.client.exec("c1", ExecSpec(("sleep", f"60.7{OWN}"), BESIDE, "/")), name="exec"
    )
    await until(lambda: marked(f"sleep\x0060.7{OWN}"), "the command")
    await watcher.client.stop_process("c1", signal.SIGKILL, 0)
    assert (await other).exit_code == 137


async def test_a_chatty_command_is_cut_at_the_limit(watcher: Watcher) -> None:
    await watcher.client.start_process("c1", spec("sleep", "60"))
    result = await watcher.client.exec(
        "c1", ExecSpec(("head", "-c", "300000", "/dev/zero"), BESIDE, "/")
    )
    assert (result.exit_code, len(result.stdout)) == (0, 65536)


async def test_calls_that_make_no_sense_are_refused(watcher: Watcher) -> None:
    await watcher.client.start_process("c1", spec("sleep", "60"))
    with pytest.raises(LauncherError, match="exists already"):
        await watcher.client.start_process("c1", spec("true"))
    with pytest.raises(LauncherError, match="still runs"):
        await watcher.client.forget("c1")
    with pytest.raises(LauncherError, match="no process"):
        await watcher.client.stop_process("c2", signal.SIGTERM, 1)
    with pytest.raises(LauncherError, match="id and a command"):
        await watcher.client.start_process("../c3", spec("true"))
    await watcher.client.stop_process("c1", signal.SIGTERM, 1)
    await watcher.client.forget("c1")
    with pytest.raises(LauncherError, match="no process"):
        await watcher.client.exec("c1", ExecSpec(("true",), BESIDE, "/"))


async def test_a_second_client_finds_everything(
    launcher: LauncherProcess, watcher: Watcher
) -> None:
    await watcher.run("gone", "sh", "-c", "exit 5")
    await watcher.client.start_process("here", spec("sleep", "60"))
    other = Watcher(launcher.socket)
    await other.client.start(30)
    assert other.known["gone"].exit_code == 5
    assert other.known["here"].finished_at == 0
    await watcher.client.stop_process("here", signal.SIGTERM, 30)
    assert (await other.ended("here")).exit_code == 143
    await other.client.stop()


async def test_a_killed_launcher_takes_its_containers_along(
    launcher: LauncherProcess, watcher: Watcher, folder: Path
) -> None:
    started = await watcher.client.start_process("c1", spec("sleep", "60"))
    script = f"setsid sh -c 'echo $$ > {folder}/pid; exec sleep 61' & wait"
    await watcher.client.start_process("c2", spec("sh", "-c", script))
    await until(lambda: read_pid(folder / "pid"), "the daemon")
    daemon = read_pid(folder / "pid")
    launcher.end(signal.SIGKILL)
    await until(lambda: not alive(started.pid), "the end of the container")
    assert alive(daemon)
    launcher.close()
    assert not alive(daemon)


async def test_a_new_launcher_remembers_what_ended_and_what_was_lost(
    launcher: LauncherProcess, watcher: Watcher, folder: Path
) -> None:
    await watcher.run("ended", "sh", "-c", "exit 5")
    script = f"env -i {PATH.split(':')[2]}/sleep 61.1 & echo $! > {folder}/pid; wait"
    await watcher.client.start_process("lost", spec("sh", "-c", script))
    await until(lambda: read_pid(folder / "pid"), "the child")
    launcher.end(signal.SIGKILL)
    assert launcher.start()
    assert not alive(read_pid(folder / "pid"))
    await until(lambda: watcher.snapshots == 2, "the client to connect again")
    assert watcher.known["ended"].exit_code == 5
    lost = watcher.known["lost"]
    assert (lost.exit_code, lost.message) == (
        137, "the node's launcher ended while this container was running",
    )  # fmt: skip
    assert (await watcher.run("new", "true")).exit_code == 0


async def test_a_recycled_process_id_is_never_hit(
    launcher: LauncherProcess, watcher: Watcher, folder: Path
) -> None:
    await watcher.client.start_process("c1", spec("sleep", "60"))
    launcher.end(signal.SIGKILL)
    path = launcher.state_dir / "processes" / "c1.json"
    values = json.loads(path.read_text())
    # As if the container's id had gone to this test's own process (and to its session).
    values["process"]["pid"] = os.getsid(0)
    path.write_text(json.dumps(values))
    launcher.close()
    assert alive(os.getpid())


async def test_a_stopped_launcher_lets_its_containers_finish(
    launcher: LauncherProcess, watcher: Watcher, folder: Path
) -> None:
    trap = f"trap 'echo bye > {folder}/bye; exit 0' TERM"
    await start_with_trap(watcher, folder, trap, FOREVER)
    assert launcher.end(signal.SIGTERM) == 0
    assert (folder / "bye").read_text() == "bye\n"
    record = json.loads((launcher.state_dir / "processes" / "c1.json").read_text())["process"]
    assert (record["exit_code"], record["message"]) == (0, "")


@pytest.mark.parametrize("content", ["", "{", '{"version": 1}', '{"version": 9}', "[]"])
async def test_a_damaged_state_file_is_named(folder: Path, content: str) -> None:
    launched = LauncherProcess(folder)
    (launched.state_dir / "processes").mkdir(parents=True)
    path = launched.state_dir / "processes" / "c1.json"
    path.write_text(content)
    assert not launched.start()
    text = launched.errors()
    assert str(path) in text
    assert "remove" in text
    assert "Traceback" not in text


async def test_a_second_launcher_on_the_same_state_is_refused(
    launcher: LauncherProcess, watcher: Watcher, folder: Path
) -> None:
    record = await watcher.client.start_process("c1", spec("sleep", "60"))
    second = LauncherProcess(folder)
    second.socket = folder / "second.sock"
    assert not second.start()
    assert "in use by another launcher" in second.errors()
    assert alive(record.pid)


async def test_its_files_are_for_this_user_only(
    launcher: LauncherProcess, watcher: Watcher
) -> None:
    await watcher.run("c1", "true")
    for path in (launcher.socket, *launcher.state_dir.rglob("*.json")):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_containers_see_what_is_mounted(watcher: Watcher, folder: Path) -> None:
    if watcher.client.capabilities["mount_namespace"] == "none":
        pytest.skip(watcher.client.capabilities["mount_namespace_reason"])
    (folder / "conf").mkdir()
    (folder / "conf" / "a").write_text("from the volume")
    (folder / "resolv").write_text("nameserver 127.9.0.10\n")
    binds = (
        Bind(str(folder / "conf"), "/etc/podling-test/conf", read_only=True),
        Bind(str(folder / "conf"), "/podling-data/x"),
        Bind(str(folder / "resolv"), "/etc/resolv.conf"),
    )
    script = """
cat /etc/podling-test/conf/a /etc/resolv.conf; test -e /etc/passwd || exit 1
touch /etc/podling-test/conf/b 2>/dev/null && exit 2; touch /podling-data/x/c || exit 3
"""
    record = await watcher.run(
        "c1", "sh", "-c", script + "sleep 0", binds=binds, scratch=str(folder / "scratch"),
        log_path=str(folder / "0.log"),
    )  # fmt: skip
    lines = (folder / "0.log").read_text()
    assert record.exit_code == 0, lines
    assert "from the volume" in lines
    assert "nameserver 127.9.0.10" in lines
    assert (folder / "conf" / "c").exists()
    assert not {"podling-test", "podling-data"} & {*os.listdir("/etc"), *os.listdir("/")}


async def test_commands_beside_see_the_mounts_too(watcher: Watcher, folder: Path) -> None:
    if watcher.client.capabilities["mount_namespace"] == "none":
        pytest.skip(watcher.client.capabilities["mount_namespace_reason"])
    (folder / "data").mkdir()
    (folder / "data" / "a").write_text("here")
    binds = (Bind(str(folder / "data"), "/podling-data"),)
    await watcher.client.start_process(
        "c1", spec("sleep", "60", binds=binds, scratch=str(folder / "scratch"))
    )
    result = await watcher.client.exec(
        "c1", ExecSpec(("cat", "/podling-data/a"), BESIDE, "/podling-data")
    )
    assert result.stdout == b"here", result.stderr


async def test_a_mount_of_nothing_is_a_failed_start(watcher: Watcher, folder: Path) -> None:
    if watcher.client.capabilities["mount_namespace"] == "none":
        pytest.skip(watcher.client.capabilities["mount_namespace_reason"])
    with pytest.raises(LauncherError, match=r"/no/such/volume .*does not exist"):
        await watcher.client.start_process(
            "c1",
            spec("true", binds=(Bind("/no/such/volume", "/data"),), scratch=str(folder / "s")),
        )
    assert (await watcher.ended("c1")).exit_code == 128


async def test_without_mounts_a_bind_is_refused_unless_it_changes_nothing(folder: Path) -> None:
    launched = LauncherProcess(folder, mounts=False)
    assert launched.start()
    watching = Watcher(launched.socket)
    try:
        await watching.client.start(30)
        assert watching.client.capabilities["mount_namespace"] == "none"
        same = Bind(str(folder), str(folder))
        assert (await watching.run("c1", "true", binds=(same,))).exit_code == 0
        with pytest.raises(LauncherError, match=f"cannot mount {folder} at /data: this node may"):
            await watching.client.start_process(
                "c2", spec("true", binds=(Bind(str(folder), "/data"),))
            )
    finally:
        await watching.client.stop()
        launched.close()


async def test_many_at_once_all_end_with_everything_they_left(
    launcher: LauncherProcess, watcher: Watcher, folder: Path
) -> None:
    script = f"(setsid sleep 61.7{OWN} &); sleep 61.7{OWN} & echo hi; exit 3"
    ids = [f"c{number}" for number in range(60)]
    for process_id in ids:
        watcher.tasks.spawn(
            watcher.client.start_process(
                process_id, spec("sh", "-c", script, log_path=str(folder / f"{process_id}.log"))
            ),
            name=process_id,
        )
    assert {(await watcher.ended(process_id)).exit_code for process_id in ids} == {3}
    assert not marked(f"sleep\x0061.7{OWN}")
    assert {(folder / f"{process_id}.log").read_text()[-5:] for process_id in ids} == {"F hi\n"}
    assert launcher.process is not None
    open_files = f"/proc/{launcher.process.pid}/fd"
    await until(lambda: len(os.listdir(open_files)) < 20, "the launcher to close its files")
