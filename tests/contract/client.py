"""A few calls by a client that was generated from the served document: python client.py URL VIEWER-TOKEN OPERATOR-TOKEN."""

import sys
import time

from hearthwatch_client import AuthenticatedClient
from hearthwatch_client.api.homes import (
    get_homes,
    get_homes_by_home,
    post_homes_by_home_exclude,
)
from hearthwatch_client.api.runs import get_run_requests_by_id, post_runs
from hearthwatch_client.models import (
    HomeView,
    HomeViewPage,
    ProblemBody,
    Reason,
    RequestState,
    RunRequestView,
)

PATIENCE_S = 120


def main(url: str, viewer_token: str, operator_token: str) -> None:
    """Makes the calls; an assertion that fails ends the program."""
    viewer = AuthenticatedClient(base_url=url, token=viewer_token)
    operator = AuthenticatedClient(base_url=url, token=operator_token)

    page = get_homes.sync(client=viewer, limit=2)
    assert isinstance(page, HomeViewPage), page
    assert len(page.items) == 2 and page.next_ == page.items[-1].home, page
    rest = get_homes.sync(client=viewer, limit=2, after=page.next_)
    assert isinstance(rest, HomeViewPage) and rest.items[0].home > page.next_, rest
    name = page.items[0].home

    home = get_homes_by_home.sync(name, client=viewer)
    assert isinstance(home, HomeView) and home.home == name, home

    missing = get_homes_by_home.sync_detailed("nobody", client=viewer)
    assert missing.status_code == 404, missing
    assert isinstance(missing.parsed, ProblemBody), missing
    assert missing.parsed.type_ == "urn:hearthwatch:problem:not-found", missing.parsed

    reason = Reason(reason="a client's test")
    refused = post_homes_by_home_exclude.sync_detailed(name, client=viewer, body=reason)
    assert refused.status_code == 403, refused
    excluded = post_homes_by_home_exclude.sync(name, client=operator, body=reason)
    assert isinstance(excluded, HomeView), excluded

    stranger = AuthenticatedClient(base_url=url, token="hwt_none")
    unknown = get_homes.sync_detailed(client=stranger)
    assert unknown.status_code == 401 and unknown.headers["www-authenticate"] == "Bearer", unknown

    asked = post_runs.sync_detailed(client=operator)
    assert asked.status_code == 202 and isinstance(asked.parsed, RunRequestView), asked
    assert asked.headers["location"] == f"/api/v1/run-requests/{asked.parsed.id}", asked.headers
    ends = time.monotonic() + PATIENCE_S
    while True:
        request = get_run_requests_by_id.sync(asked.parsed.id, client=viewer)
        assert isinstance(request, RunRequestView), request
        if request.ended_at is not None:
            break
        assert time.monotonic() < ends, request
        time.sleep(0.1)
    # There are no recorded sets here to learn from, and the request says so.
    assert request.state == RequestState.FAILED and request.reason, request
    print(f"the generated client made its calls; the request ended: {request.reason}")


if __name__ == "__main__":
    main(*sys.argv[1:])
