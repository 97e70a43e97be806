"""Problems in one sentence that says what to do; the errors of Keystone, Blazar, Zun and Neutron turned into such sentences."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

#: What a shell sees: nothing was done or it failed; bad usage; something is left.
EXIT_FAILED, EXIT_USAGE, EXIT_LEFT = 1, 2, 3

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, SERVER_ERROR = 401, 403, 404, 409, 500


class Problem(Exception):  # noqa: N818 (it is what people read, not a name for programmers)
    """What is wrong and what to do, in a sentence."""

    def __init__(self, sentence: str, exit_code: int = EXIT_FAILED) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


CREDENTIALS_HOW = (
    "in the site's dashboard: Identity, Application Credentials, Create; tick the roles member and reader, and "
    "'Unrestricted'; download the openrc file and `source` it (or name a cloud of clouds.yaml by --os-cloud)"
)

NO_CREDENTIALS = f"There are no credentials: neither OS_AUTH_URL nor OS_CLOUD is set. Make one {CREDENTIALS_HOW}."
REFUSED_CREDENTIAL = (
    "Keystone refuses the application credential: it is expired or deleted, its secret is wrong, or it belongs to "
    f"another site (each site has its own). Make a new one {CREDENTIALS_HOW}."
)
RESTRICTED_CREDENTIAL = (
    "The application credential is restricted, and Blazar needs an unrestricted one to make a lease (with a "
    f"restricted one it answers 'Internal Server Error'). Make another {CREDENTIALS_HOW}."
)
RESUME = "`testbed status` shows what exists; run the same command again, it continues where this one stopped."


@dataclass(frozen=True)
class Answer:
    """What an error says, whichever client raised it."""

    kind: str
    status: int | None
    text: str

    def says(self, pattern: str) -> re.Match[str] | None:
        """Whether its text holds the pattern."""
        return re.search(pattern, self.text, re.IGNORECASE)


def answer_of(error: BaseException) -> Answer:
    """Each client keeps the HTTP status elsewhere."""
    kwargs = getattr(error, "kwargs", None)
    status = kwargs.get("code") if isinstance(kwargs, dict) else None
    for name in ("http_status", "status_code"):
        status = status or getattr(error, name, None)
    return Answer(type(error).__name__, int(status) if status else None, str(error))


Rule = tuple[Callable[[Answer], object], Callable[[Answer], str]]

_CLIENTS = ("keystoneauth1", "blazarclient", "zunclient", "neutronclient", "openstack", "requests", "urllib3")
_CONNECTION = ("ConnectFailure", "ConnectionError", "ConnectTimeout", "ConnectionRefused", "RetriableConnectionFailure")


def _lost(answer: Answer) -> bool:
    return (
        answer.kind in _CONNECTION
        or "ConnectionFailed" in answer.kind
        or bool(answer.says("connection (aborted|refused|reset)|unable to establish connection|max retries exceeded"))
    )


_RULES: list[Rule] = [
    (
        _lost,
        lambda answer: (
            "The connection was lost. It is not known whether the last request arrived. "
            f"{RESUME} ({first_line(answer)})"
        ),
    ),
    (
        lambda answer: answer.kind == "SSLError" or answer.says("certificate verify failed"),
        lambda answer: (
            "The site's certificate is not trusted: check the address in OS_AUTH_URL, and that this "
            f"machine's clock is right. ({first_line(answer)})"
        ),
    ),
    (lambda answer: answer.status == UNAUTHORIZED, lambda _: REFUSED_CREDENTIAL),
    (
        lambda answer: answer.says("not enough .*available|no free|allocation_candidates"),
        lambda _: (
            "No such device is free: it is reserved by others, switched off, or there is none of that type. "
            "`testbed doctor` says which types exist; try another --machine-type, a --device, fewer --devices, or later."
        ),
    ),
    (
        lambda answer: answer.says("maximum lease duration"),
        lambda answer: (
            "The site says that the lease is too long: ask for at most 7 days by --lease, and extend it "
            f"with `testbed renew` in its last two days. ({first_line(answer)})"
        ),
    ),
    (
        lambda answer: answer.says("only be extended within"),
        lambda answer: (
            "A lease can be extended only shortly before its end (two days, at the time of writing): run "
            f"`testbed renew` later. ({first_line(answer)})"
        ),
    ),
    (
        lambda answer: answer.says("lease with name.*already exists"),
        lambda _: (
            "The name of the lease is taken: it belongs to somebody else of the project, or to a lease that "
            "cannot be seen with this credential. Give another --fleet-name."
        ),
    ),
    (
        lambda answer: (
            answer.says("No more IP addresses|IpAddressGenerationFailure|not enough floating IP")
            or answer.kind in ("IpAddressGenerationFailureClient", "ExternalIpAddressExhaustedClient")
        ),
        lambda _: (
            "The site has no floating IP left. A fleet needs none: leave --floating-ip away (agents connect "
            "outwards), or give back one that is not in use, or try later."
        ),
    ),
    (
        lambda answer: answer.says("quota") or answer.kind == "OverQuotaClient",
        lambda answer: (
            f"The project's quota is used up: give something back (`testbed status` shows what this "
            f"testbed holds), or ask the help desk for more. ({first_line(answer)})"
        ),
    ),
    (
        lambda answer: answer.says("exceed|allocation|service unit|balance"),
        lambda answer: (
            "The project's allocation does not suffice: ask for fewer devices or a shorter lease, or ask "
            f"the project's owner to renew the allocation. ({first_line(answer)})"
        ),
    ),
    (
        lambda answer: answer.says("microversion|version .*not (supported|acceptable)"),
        lambda answer: f"Zun does not speak this version of its API. Please report it. ({first_line(answer)})",
    ),
    (
        lambda answer: answer.says("delete_force"),
        lambda _: (
            "A container cannot be deleted while it is being made, and the site allows no deletion by force. "
            "It goes with its lease; run the same command again when `testbed status` says Error, Running or Stopped."
        ),
    ),
    (
        lambda answer: answer.status == FORBIDDEN,
        lambda answer: (
            f"The site does not allow this: the credential needs the roles member and reader. ({first_line(answer)})"
        ),
    ),
]


def first_line(answer: Answer) -> str:
    """What an error says, in short."""
    return answer.text.strip().splitlines()[0] if answer.text.strip() else answer.kind


def explain(error: Exception, doing: str, rules: Sequence[Rule] = ()) -> Problem:
    """The problem that a client's error is. `doing` says what was tried: "making the lease". `rules` are asked first."""
    answer = answer_of(error)
    for applies, sentence in [*rules, *_RULES]:
        if applies(answer):
            return Problem(f"{doing}: {sentence(answer)}")
    if answer.status is not None and answer.status >= SERVER_ERROR:
        return Problem(
            f"{doing}: the site has an error of its own. Try again in a minute; if it stays, tell the help desk. "
            f"({first_line(answer)})"
        )
    return Problem(f"{doing}: the site refuses. {first_line(answer)}")


@contextmanager
def explained(doing: str, rules: Sequence[Rule] = ()) -> Iterator[None]:
    """Turns every error of a client into a problem."""
    try:
        yield
    except Problem:
        raise
    except Exception as error:
        # An error of our own is not the site's.
        if type(error).__module__.split(".")[0] not in _CLIENTS:
            raise
        raise explain(error, doing, rules) from error
