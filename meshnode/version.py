"""The version of this package, for people and for peers."""

VERSION = "0.1.0"
AGENT = f"meshnode/{VERSION}"
