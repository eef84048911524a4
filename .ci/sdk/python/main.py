"""Creates, lists and deletes an instance with the client that is generated for Python.

Usage: main.py BASE KEY
"""

import sys

from api import AuthenticatedClient
from api.api.instances import create_instance, delete_instance, list_instances, read_instance
from api.models import Create, Error, Instance


def main(base: str, key: str) -> None:
    client = AuthenticatedClient(
        base_url=base, token=key, prefix="", auth_header_name="X-API-Key"
    )
    wanted = Create(url="demo://python", alias="python")
    made = create_instance.sync(client=client, body=wanted)
    assert isinstance(made, Instance), made
    assert made.alias == "python" and made.meta.tags is not None, made

    listed = list_instances.sync(client=client)
    assert isinstance(listed, list), listed
    assert any(one.id == made.id for one in listed), listed

    deleted = delete_instance.sync_detailed(made.id, client=client)
    assert deleted.status_code == 204, deleted

    missing = read_instance.sync(made.id, client=client)
    assert isinstance(missing, Error) and missing.error, missing


main(*sys.argv[1:])
