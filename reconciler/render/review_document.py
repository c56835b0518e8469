"""A review as JSON text."""

from __future__ import annotations

from reconciler.review.document import document_of
from reconciler.review.model import Review

from .review import sentences


def review_json(review: Review) -> str:
    """The review's document as JSON text that ends in a newline."""
    found = document_of(review, [tuple(sentences(finding)) for finding in review.findings])
    return found.model_dump_json(indent=2) + "\n"
