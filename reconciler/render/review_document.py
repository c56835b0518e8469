"""A review as JSON text."""

from __future__ import annotations

from reconciler.review.document import ReviewDocument, document_of
from reconciler.review.model import Review

from .review import sentences


def document_json(made: ReviewDocument) -> str:
    """The document as JSON text that ends in a newline."""
    return made.model_dump_json(indent=2) + "\n"


def document(review: Review) -> ReviewDocument:
    """The review's document, with all that it says in words."""
    return document_of(review, [tuple(sentences(finding)) for finding in review.findings])


def review_json(review: Review) -> str:
    """The review's document as JSON text that ends in a newline."""
    return document_json(document(review))
