"""What the book costs: 10,000 assets of three providers, in a process of its own."""

import json
import subprocess
import sys

import pytest

from tests.bench.figures import show

pytestmark = pytest.mark.bench

MIB = 1024 * 1024

# Run apart, so that nothing else lives in the process that is measured.
CHILD = """
import gc, json, os, sys
from pathlib import Path
import meshnode.node, meshnode.adapters.libp2p.host
from nacl.signing import SigningKey
from meshnode.core.book import Book
from protocols.envelope import open_envelope, seal
from protocols.messages import Message, PriceUpdate
from protocols.quotes import Quote

def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

NOW = 1_790_000_000 * 10**9
raws = []
for number in range(3):
    key = SigningKey(bytes([number]) * 32)
    for page in range(10):
        quotes = tuple(
            Quote(f"A{page * 1000 + i}-USD", 3_943_248 + 10 * i + 1, -2, NOW + i, 0, 1, None)
            for i in range(1000)
        )
        message = Message("main", bytes(key.verify_key), 1, page + 1, NOW, PriceUpdate(quotes))
        raws.append(seal(message, key).raw)
del quotes, message
before = resident()
book = Book(authors_max=64)
for raw in raws:
    book.apply(open_envelope(raw), NOW)
after = resident()
print(json.dumps({"grown": after - before, "quotes": sum(1 for _ in book.everything())}))
"""


def test_the_book() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], check=True, capture_output=True, text=True)
    said = json.loads(done.stdout)
    assert said["quotes"] == 30_000
    show("the book with 10,000 assets x 3 providers", mib_more=said["grown"] / MIB)
