"""An object store that speaks S3's protocol, on this machine; and the place of a test in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from unittest import mock

from gpen_video.jobs.storage import Storage

BUCKET = "archive"
_COUNT = count()


@contextmanager
def object_store() -> Iterator[str]:
    """Serve one while the block runs; what processes that start meanwhile read from their environment leads to it."""
    import boto3
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    environment = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }
    try:
        with mock.patch.dict(os.environ, environment):
            S3FileSystem.clear_instance_cache()  # of a store that was served before
            boto3.client("s3").create_bucket(Bucket=BUCKET)
            yield endpoint
    finally:
        server.stop()


def place() -> Storage:
    """A place of its own in the store."""
    return Storage(f"s3://{BUCKET}/place-{next(_COUNT)}")
