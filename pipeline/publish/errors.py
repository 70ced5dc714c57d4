"""What can go wrong in publishing."""

from __future__ import annotations

from pipeline.errors import StoriesError


class PublishError(StoriesError):
    """The site was left as it was; the sentence says which file stands in the way and what to do."""
