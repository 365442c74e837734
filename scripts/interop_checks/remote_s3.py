"""A model in a bucket, on moto's server, which checks signatures as S3 does."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import boto3

from makers.samples import SAMPLES

BUCKET, FOLDER = "models", "some dir/tiny-fp8"


@contextmanager
def bucket(folder, sample):
    """A bucket with a sample in it, and the variables of an account that may read it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # The account itself is made by four requests that need none.
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL,
        stderr=open(folder / "moto.log", "w"), env=os.environ | {"INITIAL_NO_AUTH_ACTION_COUNT": "4"})
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        place = dict(endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1")
        nobody = dict(place, aws_access_key_id="none", aws_secret_access_key="none")
        accounts = boto3.client("iam", **nobody)
        accounts.create_user(UserName="reader")
        accounts.put_user_policy(
            UserName="reader", PolicyName="all", PolicyDocument=json.dumps(
                {"Version": "2012-10-17",
                 "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}))
        key = accounts.create_access_key(UserName="reader")["AccessKey"]
        boto3.client("s3", **nobody).create_bucket(Bucket=BUCKET)
        store = boto3.client("s3", **place, aws_access_key_id=key["AccessKeyId"],
                             aws_secret_access_key=key["SecretAccessKey"])
        for path in sample.iterdir():
            store.upload_file(str(path), BUCKET, f"{FOLDER}/{path.name}")
        yield {"AWS_ENDPOINT_URL": place["endpoint_url"], "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
               "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    finally:
        process.kill()
        process.wait()


def check(report, folder):
    """Signed requests are taken, others are not, and the secret is nowhere."""
    sample = SAMPLES / "tiny-fp8"
    with bucket(folder, sample) as account:
        def run(*arguments, expect=0, **more):
            result = subprocess.run([report.fathom, *map(str, arguments)], capture_output=True,
                                    text=True, env=os.environ | account | more, timeout=300)
            report.check(f"exit code {expect}: {arguments[0]} of a bucket {' '.join(more)}",
                         result.returncode == expect, result.stderr[-500:])
            report.check("and no secret in it",
                         account["AWS_SECRET_ACCESS_KEY"] not in result.stdout + result.stderr)
            return result.stdout

        place = f"s3://{BUCKET}/{FOLDER}"
        report.check("a bucket's model has the folder's hashes",
                     run("hash", place) == report.run("hash", sample))
        report.check("and its report", run("validate", place, "--deep")
                     == report.run("validate", sample, "--deep"))
        one, parts = folder / "bucket-one" / "out.gguf", folder / "bucket" / "out.gguf"
        for output in (one, parts):
            output.parent.mkdir()
        report.run("convert", sample, one, "--to", "gguf", "--quant", "q8_0")
        for end in (("--part", "2/2"), ("--part", "1/2"), ("--finish",)):
            run("convert", place, parts, "--to", "gguf", "--quant", "q8_0", *end)
        report.check("parts of its conversion make one run's bytes",
                     one.read_bytes() == parts.read_bytes())
        run("fetch", place, folder / "fetched")
        report.check("its files are fetched", all(
            (sample / path.name).read_bytes() == path.read_bytes()
            for path in (folder / "fetched").iterdir()))
        run("hash", place, expect=66, AWS_SECRET_ACCESS_KEY="another")
        run("hash", f"s3://{BUCKET}/nothing", expect=66)
