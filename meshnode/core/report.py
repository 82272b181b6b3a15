"""What the book says, in the words of the queries."""

from collections.abc import Collection

from meshnode.core.book import Book
from meshnode.core.freshness import age_s, price_state
from meshnode.core.records import StoredQuote
from protocols.ids import peer_id
from protocols.queries import PriceAnswer
from protocols.quotes import plain
from protocols.timestamps import rfc3339


def price_answer(
    stored: StoredQuote, now_ns: int, *, active: Collection[bytes], is_proven: bool
) -> PriceAnswer:
    """One quote as a reply shows it: its age, its provider, and whether that is still there."""
    quote = stored.quote
    return PriceAnswer(
        price=plain(quote.price),
        provider_id=peer_id(stored.author),
        observed=rfc3339(quote.observed_ns),
        received=rfc3339(stored.received_ns),
        age_s=age_s(stored, now_ns),
        state=price_state(stored, now_ns, provider_active=stored.author in active),
        confidence=plain(quote.half_width) if quote.half_width is not None else None,
        sources=quote.sources,
        tags=quote.tags,
        proof=None if is_proven else False,
    )


def best_answer(
    book: Book, asset: str, now_ns: int, active: Collection[bytes]
) -> PriceAnswer | None:
    """The answer for an asset, or None where no price of it is known."""
    stored = book.best(asset, active)
    if stored is None:
        return None
    is_proven = book.proof_of(stored) is not None
    return price_answer(stored, now_ns, active=active, is_proven=is_proven)
