"""What bytes may be: sizes, canonical form, types, signatures, frames."""

from tests.mutation.mutation import Mutation

CODEC = "protocols/codec.py"
ENVELOPE = "protocols/envelope.py"
FIELDS = "protocols/fields.py"
FRAMING = "protocols/framing.py"
IDS = "protocols/ids.py"
PACKING = "protocols/packing.py"
QUOTES = "protocols/quotes.py"

_CANONICAL = "tests/protocols/test_canonical.py"
_CODEC = "tests/protocols/test_codec.py"
_FRAMING = "tests/protocols/test_framing.py"
_FORM = (f"{_CANONICAL}::test_another_form_is_refused",)
_RESERVED = (f"{_CODEC}::test_a_reserved_payload_holds_only_what_the_wire_knows",)

SIGNATURES = (
    Mutation(
        "a signature is its author's",
        ENVELOPE,
        "        except (BadSignatureError, CryptoError, ValueError):\n            return False\n",
        "        except (BadSignatureError, CryptoError, ValueError):\n            return True\n",
        ("tests/protocols/test_envelope.py::test_bob_cannot_sign_for_alice",),
    ),
    Mutation(
        "a signature is of this protocol",
        ENVELOPE,
        'SIGNING_CONTEXT = b"meshprice/1\\0"',
        'SIGNING_CONTEXT = b""',
        (
            "tests/protocols/test_envelope.py"
            "::test_a_signature_over_the_body_alone_is_of_another_protocol",
        ),
    ),
    Mutation(
        "a signature has 64 bytes",
        CODEC,
        "if len(signature) != SIGNATURE_BYTES:",
        "if False:",
        (
            "tests/protocols/test_envelope.py"
            "::test_a_signature_of_another_length_does_not_reach_the_verifier",
        ),
    ),
)

FORMS = (
    Mutation(
        "the size of an envelope",
        CODEC,
        "if len(data) > ENVELOPE_BYTES_MAX:",
        "if False:",
        (
            f"{_CANONICAL}::test_a_body_over_the_limit_is_not_even_looked_at",
            f"{_CANONICAL}::test_an_envelope_ends_at_128_kib",
        ),
    ),
    Mutation(
        "a body has one form",
        CODEC,
        "if pack(tree) != body:",
        "if False:",
        _FORM,
    ),
    Mutation(
        "an envelope has one form",
        CODEC,
        "if pack_envelope(body, signature) != raw:",
        "if False:",
        (f"{_CANONICAL}::test_another_form_of_envelope_is_refused",),
    ),
    Mutation(
        "an envelope is a pair",
        CODEC,
        "if type(tree) is not tuple or len(tree) != 2:",
        "if False:",
        (f"{_CANONICAL}::test_another_form_of_envelope_is_refused",),
    ),
    Mutation(
        "keys are in order",
        FIELDS,
        "if len(value) > 1 and list(value) != sorted(value):",
        "if False:",
        _FORM,
    ),
    Mutation("no map is empty", FIELDS, "    if not value:\n", "    if False:\n", _FORM),
    Mutation(
        "keys in reserved payloads are in order",
        CODEC,
        '            check_key_order(value, "payload")\n',
        "",
        _FORM,
    ),
    Mutation(
        "lengths that are not there are noticed before anything is allocated",
        PACKING,
        "        skipper.skip()\n",
        "",
        (f"{_CANONICAL}::test_a_length_that_is_not_there_costs_no_memory",),
    ),
    Mutation(
        "no ext",
        PACKING,
        "max_ext_len=0",
        "max_ext_len=100",
        (f"{_CANONICAL}::test_an_ext_never_comes_out",),
    ),
    Mutation(
        "bodies nest five deep",
        CODEC,
        "if depth > BODY_DEPTH_MAX:\n            raise",
        "if False:\n            raise",
        (f"{_CODEC}::test_a_body_nests_five_deep",),
    ),
    Mutation(
        "reserved values are of the wire's types",
        CODEC,
        "elif value is not None and kind is not bool and kind is not bytes:",
        "elif False:",
        _RESERVED,
    ),
    Mutation(
        "reserved integers fit 64 bits",
        CODEC,
        'integer(value, "payload", _INT64_MIN)',
        "pass",
        (f"{_CODEC}::test_nothing_is_encoded_that_would_not_be_taken",),
    ),
)

VALUES = (
    Mutation(
        "a boolean is no integer",
        FIELDS,
        "if type(value) is not int or not least <= value <= most:",
        "if not isinstance(value, int) or not least <= value <= most:",
        (f"{_CODEC}::test_each_field_of_a_body_at_its_limit_and_beyond", _CODEC),
    ),
    Mutation(
        "integers have bounds",
        FIELDS,
        "if type(value) is not int or not least <= value <= most:",
        "if type(value) is not int:",
        (_CODEC,),
    ),
    Mutation(
        "text is printable ASCII",
        FIELDS,
        "    if not (value.isascii() and value.isprintable()):\n",
        "    if False:\n",
        (f"{_CODEC}::test_each_field_of_presence_at_its_limit_and_beyond",),
    ),
    Mutation(
        "text is short",
        FIELDS,
        "if type(value) is not str or len(value) > bytes_max:",
        "if type(value) is not str:",
        (f"{_CODEC}::test_each_field_of_presence_at_its_limit_and_beyond",),
    ),
    Mutation(
        "tags are printable ASCII",
        FIELDS,
        "            if not (item.isascii() and item.isprintable()):\n",
        "            if False:\n",
        (f"{_CODEC}::test_a_quote_with_a_wrong_field_is_refused",),
    ),
    Mutation(
        "tags are few",
        FIELDS,
        "if type(value) is not dict or len(value) > length_max:",
        "if type(value) is not dict:",
        (f"{_CODEC}::test_each_field_of_a_quote_at_its_limit_and_beyond",),
    ),
    Mutation(
        "tags are short",
        FIELDS,
        "if type(item) is not str or len(item) > bytes_max:",
        "if type(item) is not str:",
        (f"{_CODEC}::test_each_field_of_a_quote_at_its_limit_and_beyond",),
    ),
    Mutation(
        "an asset's whole name is looked at",
        QUOTES,
        "return ASSET.fullmatch(name) is not None",
        "return ASSET.match(name) is not None",
        ("tests/protocols/test_quotes.py::test_what_is_no_asset",),
    ),
    Mutation(
        "the whole name of a quote's asset is looked at",
        CODEC,
        "ASSETS.fullmatch(text)",
        "ASSETS.match(text)",
        (f"{_CODEC}::test_each_field_of_a_quote_at_its_limit_and_beyond",),
    ),
    Mutation(
        "two names in one are no asset",
        CODEC,
        ' and text.count("\\n") == len(items) - 1',
        "",
        (f"{_CODEC}::test_two_names_in_one_are_no_asset",),
    ),
    Mutation(
        "a network's whole name is looked at",
        IDS,
        "return _NETWORK.fullmatch(name) is not None",
        "return _NETWORK.match(name) is not None",
        ("tests/protocols/test_ids.py::test_what_is_no_network",),
    ),
    Mutation(
        "a key is Ed25519's",
        IDS,
        "if len(raw) != len(_ID_PREFIX) + KEY_BYTES or not raw.startswith(_ID_PREFIX):",
        "if len(raw) != len(_ID_PREFIX) + KEY_BYTES:",
        ("tests/protocols/test_ids.py::test_what_is_no_binary_peer_id_of_ours",),
    ),
    Mutation(
        "prices are positive",
        CODEC,
        "and 1 <= mantissa <= mantissa_max",
        "and 0 <= mantissa <= mantissa_max",
        (f"{_CODEC}::test_each_field_of_a_quote_at_its_limit_and_beyond",),
    ),
    Mutation(
        "exponents have bounds",
        CODEC,
        "and exponent_min <= exponent <= exponent_max",
        "",
        (f"{_CODEC}::test_each_field_of_a_quote_at_its_limit_and_beyond",),
    ),
    Mutation(
        "confidences have bounds",
        CODEC,
        "and 0 <= confidence <= confidence_max",
        "",
        (f"{_CODEC}::test_each_field_of_a_quote_at_its_limit_and_beyond",),
    ),
    Mutation(
        "a price has one encoding",
        CODEC,
        "and (mantissa % 10 or confidence % 10 or exponent == exponent_max)",
        "",
        (f"{_CODEC}::test_a_price_has_one_encoding",),
    ),
    Mutation(
        "an asset stands once",
        CODEC,
        "if len(set(map(_ASSET_OF, tree))) != len(tree):",
        "if False:",
        (f"{_CODEC}::test_an_update_has_one_to_a_thousand_quotes_and_an_asset_once",),
    ),
    Mutation(
        "quotes are one to a thousand",
        CODEC,
        "if type(tree) is not tuple or not 1 <= len(tree) <= QUOTES_MAX:",
        "if type(tree) is not tuple:",
        (f"{_CODEC}::test_an_update_has_one_to_a_thousand_quotes_and_an_asset_once",),
    ),
    Mutation(
        "addresses are few",
        CODEC,
        "if type(addrs) is not tuple or len(addrs) > ADDRS_MAX:",
        "if type(addrs) is not tuple:",
        (f"{_CODEC}::test_each_field_of_presence_at_its_limit_and_beyond",),
    ),
    Mutation(
        "addresses name no peer",
        CODEC,
        'if parts[0] or len(parts) < 2 or "p2p" in parts:',
        "if parts[0] or len(parts) < 2:",
        (f"{_CODEC}::test_each_field_of_presence_at_its_limit_and_beyond",),
    ),
)

FRAMES = (
    Mutation(
        "a frame has a limit",
        FRAMING,
        "if length > self.limit:",
        "if False:",
        (f"{_FRAMING}::test_a_frame_over_the_limit_is_refused_before_its_body",),
    ),
    Mutation(
        "a frame's length has one form",
        FRAMING,
        "if position and not byte:",
        "if False:",
        (f"{_FRAMING}::test_a_length_has_one_form",),
    ),
    Mutation(
        "a frame's length ends",
        FRAMING,
        "if len(self._buffer) >= _LENGTH_BYTES_MAX:",
        "if False:",
        (f"{_FRAMING}::test_a_length_has_one_form",),
    ),
    Mutation(
        "a frame's length has 32 bits",
        FRAMING,
        "                if length > _LENGTH_MAX:\n",
        "                if False:\n",
        (f"{_FRAMING}::test_a_length_has_one_form",),
    ),
)

MUTATIONS = (*SIGNATURES, *FORMS, *VALUES, *FRAMES)
