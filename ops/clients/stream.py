#!/usr/bin/env python3
"""Asks the assistant, and shows the answer as it is made.

Needs nothing but Python 3.8 or later.

    stream.py "Berapa SKS untuk lulus sarjana?"
    stream.py --audio question.wav --save answer.wav
    stream.py --job 0195…                 an earlier job, from its beginning

The text of the answer goes to standard output, everything else to standard
error. A line that breaks is taken up again where it broke (Last-Event-ID), at
the next of the servers when several are named; nothing is printed twice.

    ITB_URL      the servers, separated by commas (http://127.0.0.1:8000)
    ITB_API_KEY  the key (dev)
"""

import argparse
import base64
import http.client
import io
import itertools
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
import wave

FOR_GOOD = {"job.completed", "job.cancelled", "job.expired", "job.erased"}
SILENCE = 60  # seconds; the server sends a comment every 15
TRIES = 10  # in a row, without a single event


def main():
    options = arguments()
    servers = os.environ.get("ITB_URL", "http://127.0.0.1:8000").split(",")
    client = Client([server.rstrip("/") for server in servers], os.environ.get("ITB_API_KEY", "dev"))
    answer = Answer()
    for event in client.events(options):
        answer.take(event)
    if options.save:
        answer.save(options.save)
    return answer.exit_code


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("question", nargs="?", help="a question in writing")
    asked.add_argument("--audio", metavar="FILE", help="a recorded question")
    asked.add_argument("--job", metavar="ID", help="the id of a job")
    parser.add_argument("--conversation", default=str(uuid.uuid4()), metavar="ID")
    parser.add_argument("--save", metavar="FILE", help="where to put the spoken answer, as WAV")
    return parser.parse_args()


class Client:
    def __init__(self, servers, key):
        self.servers = itertools.cycle(servers)
        self.key = key

    def events(self, options):
        """The job's events to its end, each once, whatever becomes of the lines."""
        if options.job:
            stream, job = None, f"/v1/jobs/{options.job}"
        else:
            stream = self.submit(options)
            job = stream.headers["Location"]
        seen, tries, last = 0, 0, None
        while True:
            try:
                if stream is None:
                    stream = self.open(f"{job}/events", {"Last-Event-ID": str(seen)} if seen else {})
                with stream:
                    for event in parsed(stream):
                        seen, tries, last = event["sequence_number"], 0, event["type"]
                        yield event
                if last in FOR_GOOD:
                    return
                reason = "the stream ended before the job"
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise SystemExit(problem(error))
                reason = f"status {error.code}"
            except (OSError, http.client.HTTPException) as error:
                reason = f"the line broke ({type(error).__name__})"
            if last in ("job.completed", "job.cancelled", "job.failed"):
                return  # One that failed until an operator resumes it: then its stream goes on.
            tries += 1
            if tries > TRIES:
                raise SystemExit(f"giving up: {reason}; the job is {job}")
            say(f"[{reason}; going on after event {seen}]")
            stream = None
            time.sleep(min(0.2 * 2**tries, 10))

    def submit(self, options):
        headers = {"Accept": "text/event-stream", "X-Conversation-Id": options.conversation}
        if options.audio:
            path, (body, headers["Content-Type"]) = "/v1/audio", form(options.audio)
        else:
            path, body = "/v1/chat", json.dumps({"message": options.question}).encode()
            headers["Content-Type"] = "application/json"
        try:
            return self.open(path, headers, body)
        except urllib.error.HTTPError as error:
            raise SystemExit(problem(error))
        except OSError as error:
            raise SystemExit(f"cannot ask: {error}")

    def open(self, path, headers, body=None):
        headers = {"X-API-Key": self.key, **headers}
        request = urllib.request.Request(next(self.servers) + path, body, headers)
        return urllib.request.urlopen(request, timeout=SILENCE)


def parsed(lines):
    """The events of a stream; one that is cut in the middle is left out."""
    data = []
    for line in lines:
        line = line.decode().rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].lstrip(" "))
        elif not line and data:
            yield json.loads("\n".join(data))
            data = []


def form(path):
    """A multipart form with one file."""
    boundary = uuid.uuid4().hex
    with open(path, "rb") as file:
        audio = file.read()
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="audio"; filename="question"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + audio + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def problem(error):
    try:
        said = json.loads(error.read())
        return f"{error.code}: {said['detail']} ({said['code']})"
    except (ValueError, KeyError, OSError):
        return f"{error.code}: {error.reason}"


class Answer:
    """What the events of one job come to."""

    def __init__(self):
        self.sentences = []
        self.exit_code = 1

    def take(self, event):
        take = getattr(self, event["type"].replace(".", "_"), None)
        if take:
            take(event)

    def transcript(self, event):
        say(f"[heard: {event['text']}]")

    def emotion(self, event):
        say(f"[emotion: {event['label']}]")

    def stage_retrying(self, event):
        say(f"[{event['stage']} tries again in {event['in_ms']} ms]")

    def answer_delta(self, event):
        print(event["text"], end="", flush=True)

    def answer_restarted(self, _event):
        print(flush=True)
        say("[the answer begins anew]")
        self.sentences = []

    def audio_delta(self, event):
        if event["audio"] is not None:
            self.sentences.append(base64.b64decode(event["audio"]))

    def job_completed(self, event):
        result = event["result"]
        print(flush=True)
        if result.get("sources"):
            say(f"[sources: {result['sources']}]")
        for what in ("first_token_ms", "first_audio_ms"):
            if what in result:
                say(f"[{what}: {result[what]}]")
        self.exit_code = 0

    def job_failed(self, event):
        say(f"\n[failed: {event['error']['message']} ({event['error']['code']})]")

    def job_resumed(self, _event):
        say("[an operator has taken the job up again]")

    def job_cancelled(self, _event):
        say("\n[cancelled]")

    def job_expired(self, _event):
        say("\n[not done in time]")

    def job_erased(self, _event):
        say("\n[erased]")

    def save(self, path):
        """The sentences, one behind the other, as one file."""
        if not self.sentences:
            say("[there is no speech to save]")
            return
        with wave.open(path, "wb") as joined:
            for number, sentence in enumerate(self.sentences):
                with wave.open(io.BytesIO(sentence)) as part:
                    if number == 0:
                        joined.setparams(part.getparams())
                    joined.writeframes(part.readframes(part.getnframes()))
        say(f"[speech: {path}]")


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
