"""The commands on this host as they are kept on disk, and the worker processes that run them."""

import json
import os
import signal
import time

import script

STATE_ROOT = '/var/lib/amazon/ssm'
# What `ps` shows, as on a real host; the command id is its only argument.
WORKER_NAME = '/usr/bin/ssm-document-worker'


class Document:
    """One command on this host. `phase`: queued, running, rebooting."""

    def __init__(self, state):
        self.state = state
        self.cancelled = False

    @classmethod
    def received(cls, message, parameters):
        nothing = {'stdout': '', 'stderr': ''}
        start = {'phase': 'queued', 'receivedAt': time.time(), 'earlier': nothing}
        return cls({**message, **start, 'parameters': parameters})

    @property
    def id(self):
        return self.state['commandId']

    @property
    def phase(self):
        return self.state['phase']


class Store:
    """The documents on disk, as /var/lib/amazon/ssm/<instance>/document/state has them."""

    def __init__(self, instance):
        base = os.path.join(STATE_ROOT, instance)
        self.current = os.path.join(base, 'document', 'state', 'current')
        self.jobs = os.path.join(base, 'document', 'state', 'jobs')
        self.orchestration = os.path.join(base, 'document', 'orchestration')
        self.workers = os.path.join(base, 'workers')
        for directory in (self.current, self.jobs, self.orchestration, self.workers):
            os.makedirs(directory, mode=0o700, exist_ok=True)

    def save(self, document, **changes):
        document.state.update(changes)
        script.save(os.path.join(self.current, document.id), document.state)

    def forget(self, document):
        state, link = os.path.join(self.current, document.id), os.path.join(self.workers, document.id)
        for path in (state, link, self.job(document), self.result(document)):
            remove(path)

    def load(self):
        paths = [entry.path for entry in os.scandir(self.current) if not entry.name.endswith('.new')]
        return sorted((Document(read_json(path)) for path in paths), key=lambda document: document.state['receivedAt'])

    def job(self, document):
        return os.path.join(self.jobs, document.id)

    def result(self, document):
        return os.path.join(self.jobs, f'{document.id}.result')

    def script_directory(self, document):
        return os.path.join(self.orchestration, document.id, 'awsrunShellScript', '0.awsrunShellScript')


def is_running(document):
    """Whether the document's worker lives. Its id may belong to another by now; without a command line it just starts."""
    process = f'/proc/{document.state.get("worker")}'
    try:
        with open(f'{process}/stat', encoding='utf-8') as stat, open(f'{process}/cmdline', 'rb') as cmdline:
            has_ended = stat.read().rpartition(') ')[2][0] in 'ZX'
            return not has_ended and cmdline.read() in (b'', f'{WORKER_NAME}\0{document.id}\0'.encode())
    except OSError:
        return False


def stop_worker(document):
    if is_running(document):
        os.kill(document.state['worker'], signal.SIGUSR1)


def read_json(path):
    with open(path, encoding='utf-8') as file:
        return json.load(file)


def remove(path):
    try:
        os.remove(path)
    except FileNotFoundError:
        pass
