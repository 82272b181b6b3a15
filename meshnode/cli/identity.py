"""`meshnode id`."""

import json
import os
from pathlib import Path

from meshnode.adapters.datadir import read_or_create_identity
from meshnode.config import configured_data_dir


def id_command(config: Path | None, data_dir: Path | None, *, as_json: bool) -> int:
    """Print the id of the node whose data directory this is. Raises ConfigError."""
    path = configured_data_dir(config, data_dir, os.environ)
    identity = read_or_create_identity(path)
    if as_json:
        print(json.dumps({"node_id": identity.peer_id, "data_dir": str(path)}))
    else:
        print(identity.peer_id)
    return 0
