"""The steps of the pipeline against a double that holds them to the aggregator's published document."""

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from conftest import K8S
from double import TOKEN, Answer, Double, Json, problem

STARTED = 1_000_000

Script = Callable[[str, str, Json | None], Answer]
Done = subprocess.CompletedProcess[str]


class Pipeline:
    """Runs steps as the workflow does."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        self.folder = folder
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.context)

        self.out = folder / "out"
        (folder / "token").write_text(f"{TOKEN}\n")
        authority.cert_pem.write_to_path(folder / "ca.crt")
        self.doubles: list[Double] = []

    def against(self, script: Script) -> Double:
        self.doubles.append(Double(self.context, script))
        return self.doubles[-1]

    def step(self, *arguments: str, url: str | None = None) -> Done:
        environment = os.environ | {
            "HEARTHWATCH_URL": url or self.doubles[-1].url,
            "HEARTHWATCH_CA": str(self.folder / "ca.crt"),
            "HEARTHWATCH_TOKEN_FILE": str(self.folder / "token"),
        }
        program = K8S / "argo/steps/pipeline.py"
        command = [sys.executable, "-I", str(program), "--pause", "0.01", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)

    def given(self, name: str) -> str:
        return (self.out / name).read_text()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def pipeline(tmp_path: Path, authority: trustme.CA) -> Iterator[Pipeline]:
    found = Pipeline(tmp_path, authority)
    yield found
    for double in found.doubles:
        double.close()
        assert double.faults == []


def request(state: str, run: str | None = None, asked_at: int = STARTED, by: str = "token:retrain", identity: str = "r1") -> Json:
    return {"id": identity, "trigger": "hand", "by": by, "state": state, "asked_at": asked_at, "attempts": 1, "run": run}


def run(state: str, verdict: object) -> Json:
    return {
        "id": "run-1",
        "dataset": "d" * 8,
        "trigger": "hand",
        "config": {},
        "champion": 3,
        "state": state,
        "started_at": STARTED,
        "report": {"verdict": verdict},
    }


def model(state: str, version: int = 4) -> Json:
    base = {"version": version, "sha256": "a" * 64, "length": 1, "weights_id": "w", "run": "run-1", "again": False}
    return base | {"state": state, "created_at": STARTED}


def release(version: int = 4) -> Json:
    return {
        "model_version": version,
        "target": f"model-{version}.safetensors",
        "sha256": "a" * 64,
        "length": 1,
        "report_sha256": "b" * 64,
        "released_at": STARTED,
        "by": "auto",
    }


def rollout(state: str, waves: int, reason: str = "as planned", forced: bool = False) -> Json:
    row = {"model_version": 4, "previous": 3, "policy": "", "state": state, "forced": forced, "started_at": STARTED}
    row |= {"reason": reason, "row_version": 7}
    tests = [{"test": "installation", "log10_e": 0.5, "limit": 2.0}]
    numbers = {"assigned": 2, "reported": 1, "undelivered": 0, "attested": 1, "open": waves}
    return {"rollout": row, **numbers, "next": "a wave opens", "tests": tests}


def page(*items: Json) -> Answer:
    return 200, {"items": list(items)}


def test_a_run_is_asked_for_once_for_each_workflow(pipeline: Pipeline) -> None:
    requests = [request("done", "run-0", asked_at=STARTED - 9, identity="r0"), request("queued", by="system", identity="r2")]

    def script(method: str, path: str, _: Json | None) -> Answer:
        if method == "POST":
            requests.insert(0, request("queued"))
            return 202, requests[0]
        return page(*requests)

    double = pipeline.against(script)
    asking = ("retrain", "--since", f"{STARTED}", "--token-name", "retrain", "--out", str(pipeline.out))
    first, again = pipeline.step(*asking), pipeline.step(*asking)
    assert (first.returncode, first.stdout) == (0, "asked for a run: request r1\n")
    assert (again.returncode, again.stdout) == (0, "request r1 is there already: queued\n")
    assert pipeline.given("request") == "r1"
    assert [call for call in double.calls if call[0] == "POST"] == [("POST", "runs", None)]


def test_the_gate_is_waited_for_and_its_reasons_are_shown(pipeline: Pipeline) -> None:
    left = ["queued", "running", "done"]

    def script(_: str, path: str, __: Json | None) -> Answer:
        if path == "training":
            return 200, {"run": None, "phase": "training", "done": 3, "total": 9}
        if path == "runs/run-1":
            return 200, run("held", {"hold": {"reasons": ["finds no more than the champion", "two families are worse"]}})
        state = left.pop(0)
        return 200, request(state, "run-1" if state == "done" else None)

    pipeline.against(script)
    done = pipeline.step("gate", "--request", "r1", "--out", str(pipeline.out))
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines() == [
        "request r1 is queued; the trainer: training 3/9",
        "request r1 is running; the trainer: training 3/9",
        "run run-1: held; data set dddddddd; against model 3",
        "  held back: finds no more than the champion",
        "  held back: two families are worse",
    ]
    assert (pipeline.given("verdict"), pipeline.given("run")) == ("held", "run-1")


def test_a_promoted_run_has_no_reasons(pipeline: Pipeline) -> None:
    pipeline.against(lambda _, path, __: (200, run("promoted", "promote")) if path.startswith("runs/") else (200, request("done", "run-1")))
    done = pipeline.step("gate", "--request", "r1", "--out", str(pipeline.out))
    assert (done.returncode, pipeline.given("verdict")) == (0, "promoted")
    assert "held back" not in done.stdout


def test_a_request_that_became_no_run_fails_with_its_reason(pipeline: Pipeline) -> None:
    pipeline.against(lambda *_: (200, request("failed") | {"reason": "no answer is new"}))
    done = pipeline.step("gate", "--request", "r1", "--out", str(pipeline.out))
    assert (done.returncode, done.stdout) == (1, "gate: the run did not come to a verdict: failed: no answer is new\n")
    assert not pipeline.out.exists()


def signing(pipeline: Pipeline, script: Script) -> Done:
    pipeline.against(script)
    return pipeline.step("sign", "--run", "run-1", "--reason", "workflow w", "--out", str(pipeline.out))


def test_a_model_that_is_released_already_is_not_ordered_again(pipeline: Pipeline) -> None:
    done = signing(pipeline, lambda _, path, __: page(model("champion")) if path == "models" else page(release()))
    assert (done.returncode, done.stdout, pipeline.given("version")) == (0, "model 4 is signed and released\n", "4")
    assert all(call[0] == "GET" for call in pipeline.doubles[-1].calls)


def test_a_model_that_waits_for_a_person_is_ordered_with_the_workflow_as_the_reason(pipeline: Pipeline) -> None:
    out: list[Json] = []

    def script(method: str, path: str, body: Json | None) -> Answer:
        if method == "POST":
            assert (path, body) == ("runs/run-1/promote", {"reason": "workflow w"})
            out.append(release())
            return 200, release()
        return page(model("champion" if out else "approved")) if path == "models" else page(*out)

    done = signing(pipeline, script)
    assert (done.returncode, done.stdout) == (0, "ordered the release of run run-1\nmodel 4 is signed and released\n")


def test_a_release_that_was_faster_than_its_order_is_a_release(pipeline: Pipeline) -> None:
    out: list[Json] = []

    def script(method: str, path: str, _: Json | None) -> Answer:
        if method == "POST":
            out.append(release())
            return problem(409, "conflict", "version 4 is in force with the same bytes")
        return page(model("approved")) if path == "models" else page(*out)

    done = signing(pipeline, script)
    assert done.returncode == 0
    assert "not ordered: POST runs/run-1/promote: 409: version 4 is in force with the same bytes" in done.stdout


def test_a_second_person_is_waited_for_and_the_command_is_shown(pipeline: Pipeline) -> None:
    looks = [model("awaiting_signature"), model("awaiting_signature"), model("champion")]

    def script(method: str, path: str, _: Json | None) -> Answer:
        if path == "models":
            return page(looks.pop(0))
        return page(*([] if looks else [release()]))

    done = signing(pipeline, script)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == f"model 4 waits for a second person: hearthwatch-provision approve {'a' * 64}"
    assert len(done.stdout.splitlines()) == 2, "the same is said once"


def test_the_canaries_are_waited_for(pipeline: Pipeline) -> None:
    looks = [rollout("running", 1), rollout("running", 1), rollout("running", 2)]
    pipeline.against(lambda *_: (200, looks.pop(0)))
    done = pipeline.step("canary", "--version", "4")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "the canaries are well"
    assert "waves open 1, homes assigned 2, reported 1, attested 1; next: a wave opens; tests (log10 e): installation 0.50 of 2.00" in done.stdout


@pytest.mark.parametrize("state", ["halted", "rolled_back"])
def test_a_rollout_that_a_test_has_stopped_fails_the_step(pipeline: Pipeline, state: str) -> None:
    pipeline.against(lambda *_: (200, rollout(state, 0, reason="canaries fail")))
    done = pipeline.step("canary", "--version", "4")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, f"canary: the rollout of version 4 is {state}: canaries fail")


def test_a_rollout_that_has_not_begun_is_tried_again_later(pipeline: Pipeline) -> None:
    pipeline.against(lambda *_: problem(404, "not-found", "no rollout 4"))
    done = pipeline.step("canary", "--version", "4")
    assert (done.returncode, done.stdout) == (75, "there is no rollout of version 4 yet; tried again later\n")


def promoting(pipeline: Pipeline, how: str) -> Done:
    return pipeline.step("promote", "--version", "4", "--how", how, "--reason", "workflow w")


def test_the_waves_are_left_to_their_times(pipeline: Pipeline) -> None:
    looks = [rollout("running", 2), rollout("paused", 2), rollout("running", 4), rollout("complete", 4)]
    double = pipeline.against(lambda *_: (200, looks.pop(0)))
    done = promoting(pipeline, "wait")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the rollout of version 4 is complete")
    assert all(call[0] == "GET" for call in double.calls)


def test_all_waves_are_opened_once_where_that_is_wanted(pipeline: Pipeline) -> None:
    state = {"forced": False, "left": 2}

    def script(method: str, path: str, body: Json | None) -> Answer:
        if method == "POST":
            assert (path, body) == ("rollouts/4/promote", {"reason": "workflow w", "row_version": 7})
            state["forced"] = True
        elif state["forced"]:
            state["left"] -= 1
        return 200, rollout("running" if state["left"] else "complete", 4, forced=bool(state["forced"]))

    double = pipeline.against(script)
    assert promoting(pipeline, "now").returncode == 0
    assert [call[0] for call in double.calls].count("POST") == 1


def undoing(pipeline: Pipeline, script: Script) -> Done:
    pipeline.against(script)
    return pipeline.step("undo", "--version", "4", "--reason", "workflow w")


def test_homes_are_ordered_back(pipeline: Pipeline) -> None:
    state = ["running"]

    def script(method: str, path: str, body: Json | None) -> Answer:
        if method == "POST":
            assert (path, body) == ("rollouts/4/rollback", {"reason": "workflow w: not promoted"})
            state[0] = "rolled_back"
        return 200, rollout(state[0], 1)

    done = undoing(pipeline, script)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "undo: homes are ordered back from version 4; it was running: as planned")
    again = pipeline.step("undo", "--version", "4", "--reason", "workflow w")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (1, "undo: homes were ordered back from version 4: as planned")
    assert [call[0] for call in pipeline.doubles[-1].calls].count("POST") == 1


def test_a_first_model_is_halted_since_there_is_nothing_to_go_back_to(pipeline: Pipeline) -> None:
    def script(method: str, path: str, _: Json | None) -> Answer:
        if path.endswith("/rollback"):
            return problem(409, "conflict", "nothing was released before version 4")
        return 200, rollout("halted" if method == "POST" else "running", 1)

    done = undoing(pipeline, script)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "undo: the rollout of version 4 is halted; homes that have it keep it")


@pytest.mark.parametrize(("status", "name"), [(503, "unavailable"), (500, "internal")])
def test_an_aggregator_that_is_busy_or_broken_is_asked_again_later(pipeline: Pipeline, status: int, name: str) -> None:
    pipeline.against(lambda *_: problem(status, name, "not now"))
    done = pipeline.step("canary", "--version", "4")
    assert (done.returncode, done.stdout) == (75, f"GET rollouts/4: {status}: not now; tried again later\n")


def test_an_aggregator_that_is_away_is_asked_again_later(pipeline: Pipeline) -> None:
    pipeline.against(lambda *_: page()).close()
    done = pipeline.step("canary", "--version", "4")
    assert done.returncode == 75
    assert "does not answer: [Errno 111] Connection refused; tried again later" in done.stdout
    pipeline.doubles.clear()


def test_a_token_that_is_not_in_force_says_what_to_do(pipeline: Pipeline) -> None:
    pipeline.against(lambda *_: problem(401, "unauthenticated", "no"))
    done = pipeline.step("canary", "--version", "4")
    assert done.returncode == 1
    assert done.stdout == "canary: GET rollouts/4: 401: no; make a token of the role operator anew, see docs/kubernetes.md\n"


def test_a_token_of_another_role_says_which_it_takes(pipeline: Pipeline) -> None:
    pipeline.against(lambda method, _, __: problem(403, "forbidden", "no") if method == "POST" else page())
    done = pipeline.step("retrain", "--since", "0", "--token-name", "retrain", "--out", str(pipeline.out))
    assert (done.returncode, done.stdout) == (1, "retrain: POST runs: 403: no; the token needs the role operator\n")


def test_no_token_stands_in_a_log(pipeline: Pipeline) -> None:
    pipeline.against(lambda *_: (200, rollout("complete", 4)))
    done = pipeline.step("canary", "--version", "4")
    assert TOKEN not in done.stdout + done.stderr


def test_a_missing_token_says_what_to_make(pipeline: Pipeline) -> None:
    (pipeline.folder / "token").unlink()
    done = pipeline.step("canary", "--version", "4", url="https://localhost:1")
    assert done.returncode == 1
    assert done.stdout.endswith("make the Secret retrain-token and the ConfigMap fleet-ca, see docs/kubernetes.md\n")


def test_a_server_of_another_authority_is_not_asked(pipeline: Pipeline) -> None:
    trustme.CA().cert_pem.write_to_path(pipeline.folder / "ca.crt")
    double = pipeline.against(lambda *_: (200, rollout("complete", 4)))
    done = pipeline.step("canary", "--version", "4")
    assert (done.returncode, double.calls) == (1, [])
    assert "has another certificate than expected: unable to get local issuer certificate" in done.stdout


def test_an_address_without_tls_is_refused(pipeline: Pipeline) -> None:
    done = pipeline.step("canary", "--version", "4", url="http://aggregator:8443")
    assert (done.returncode, done.stdout) == (1, "canary: http://aggregator:8443 is no address that begins with https://\n")
