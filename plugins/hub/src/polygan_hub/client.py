"""The connection to the Hub: names, and one line with the remedy for whatever goes wrong there. No token is ever shown."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read once, when huggingface_hub is imported

from huggingface_hub import HfApi, errors, get_token

from polygan import CheckpointError, ConfigError, PolyganError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PART = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"({_PART}/)?{_PART}", re.ASCII)
_REVISION = re.compile(r"[\w][\w./-]*")
_TOKEN = re.compile(r"hf_\w{8,}")
LOGIN = "`hf auth login`, or HF_TOKEN, says who you are"


class Name(NamedTuple):
    """A model on the Hub."""

    repo: str
    """``OWNER/NAME``."""
    revision: str
    """A branch, tag or commit; empty: the newest commit."""

    def __str__(self) -> str:
        return f"hf:{self.repo}@{self.revision}" if self.revision else f"hf:{self.repo}"


def parse(text: str, revision: str | None = None) -> Name:
    """The parts of ``[hf:]OWNER/NAME[@REVISION]``. Raises ConfigError for any other text."""
    repo, _, after = text.removeprefix("hf:").partition("@")
    if after and revision:
        raise ConfigError(f"{text!r} and the revision {revision!r} name two revisions: leave one out")
    found = Name(repo, revision or after)
    if not _NAME.fullmatch(repo) or ".." in repo or "--" in repo:
        raise ConfigError(f"{text!r} is no name of a model on the Hub: write OWNER/NAME or OWNER/NAME@REVISION")
    if found.revision and (not _REVISION.fullmatch(found.revision) or ".." in found.revision):
        raise ConfigError(f"{found.revision!r} is no revision: write a branch, a tag or a commit")
    return found


def connect() -> HfApi:
    """The Hub at $HF_ENDPOINT, else the public Hub. The token is that of ``hf auth login`` or $HF_TOKEN."""
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None, library_name="polygan-hub")


def hidden(text: str) -> str:
    """The text without tokens."""
    token = get_token()
    return _TOKEN.sub("...", text.replace(token, "...") if token else text)


@contextmanager
def one_line(name: Name, doing: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into one line with the remedy; ``doing``: ``"pull"`` or ``"push"``."""
    try:
        yield
    except PolyganError:
        raise
    except errors.LocalTokenNotFoundError:
        raise ConfigError(f"{doing} {name}: you are not logged in: {LOGIN}") from None
    except errors.RevisionNotFoundError:
        raise ConfigError(
            f"{doing} {name}: there is no such revision (any more): leave it out for the newest"
        ) from None
    except errors.GatedRepoError:
        raise ConfigError(f"{doing} {name}: the owner gives access on request: ask on the model's page") from None
    except errors.HfHubHTTPError as error:
        raise ConfigError(f"{doing} {name}: {_said(error, doing)}") from None
    except Exception as error:
        if _is_network(error):
            place = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
            raise CheckpointError(
                f"{doing} {name}: {place} cannot be reached, or broke off ({type(error).__name__}): try again when you are online"
            ) from None
        said = hidden(" ".join(str(error).split()))[:200]
        raise CheckpointError(f"{doing} {name}: {type(error).__name__}: {said}; try again") from None


def _said(error: errors.HfHubHTTPError, doing: str) -> str:
    """What the status of an answer means, with the remedy."""
    status = error.response.status_code
    missing = isinstance(error, errors.RepositoryNotFoundError)
    if status == 401 and not missing:
        return f"the Hub refused your token: log in again; {LOGIN}"
    if status in (401, 404) and missing:
        if doing == "push":
            return f"the Hub does not let you write there: check the name and your token; {LOGIN}"
        return f"there is no such model, or it is private: check the name; {LOGIN}"
    if status == 403:
        return f"your token may not do this: make one with the right to write; {LOGIN}"
    if status == 404:
        return "the Hub has no such file: check the name"
    if status == 409 or status == 412:
        return "somebody else changed the model meanwhile: push again"
    if status == 429:
        return "the Hub answers no more requests for now: wait some minutes"
    return f"the Hub answered with status {status}: try again later"


def _is_network(error: BaseException) -> bool:
    """Whether an error comes from the connection: of the system, or of the HTTP library, which versions of the Hub's client change."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    names = {"TransportError", "RequestException", "OfflineModeIsEnabled", "LocalEntryNotFoundError", "ConnectionError"}
    return bool(kinds & names) or isinstance(error, TimeoutError)
