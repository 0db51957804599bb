"""The SSM agent of a lab's host: a stand-in for amazon-ssm-agent that talks to lab/agent/hub.ts.

    agent.py --server http://GATEWAY:PORT --instance i-… --token … --region … --account …

It asks the hub for messages by long polling, runs at most five commands at once (the others wait in order), and posts
replies in the real agent's order: InProgress, acknowledge, InProgress with the plugin's result, the document's end.
Each command runs in a process of its own (script.py), and every state change is on disk first: a command goes on while
the agent is restarted, and its replies are posted when the hub answers again. metadata.py serves IMDSv2 beside it.

Exit status 194 asks for a reboot, which a lab's host does not do. The agent behaves as if it had: it reports
SuccessAndReboot, starts no command for --reboot-seconds (the real one runs `shutdown -r +1` some 9 s after its reply),
reports SuccessAndReboot again and runs the script from the beginning, with the output of the runs before kept. Commands
that run beside it are left to end, and containers and background processes live on.

`{{ssm:NAME}}` in parameters is resolved by the hub; an unknown name fails the document before it runs.
Ends on SIGTERM, at once. Python 3.11 or later, no packages.
"""

import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
import uuid

import documents
import metadata
import parameters
import script

AGENT_VERSION = '3.3.0.0'
# CommandWorkersLimit of the default configuration.
WORKERS = 5
# The hub answers a poll within 20 s; what stays silent longer is a dead connection.
POLL_SECONDS = 35
CALL_SECONDS = 10
RETRY_SECONDS = 1
LOOK_SECONDS = 0.05
REBOOT_SECONDS = 10

PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'


class Unanswered(Exception):
    """The hub is away, busy or has forgotten us."""


class Hub:
    """The hub's HTTP interface. `call` tries once, `insist` until the hub takes it."""

    def __init__(self, options):
        self.server = options.server.rstrip('/')
        self.identity = {'instance': options.instance, 'token': options.token}
        # The lab's hub is reached directly, whatever proxy the environment names.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, path, body=None, timeout=CALL_SECONDS):
        data = json.dumps({**self.identity, **(body or {})}).encode()
        request = urllib.request.Request(f'{self.server}{path}', data, {'Content-Type': 'application/json'})
        try:
            with self.opener.open(request, timeout=timeout) as answer:
                return json.loads(answer.read() or b'{}')
        except (OSError, ValueError, urllib.error.HTTPError) as failed:
            raise Unanswered(str(failed)) from failed

    def insist(self, path, body=None):
        while True:
            try:
                return self.call(path, body)
            except Unanswered:
                time.sleep(RETRY_SECONDS)


class Environment:
    """What a script finds in its environment: what systemd gives the service and what the agent adds, nothing else."""

    def __init__(self, options, platform):
        self.fixed = {
            'AWS_SSM_INSTANCE_ID': options.instance,
            'AWS_SSM_PLATFORM_NAME': platform['name'],
            'AWS_SSM_PLATFORM_VERSION': platform['version'],
            'AWS_SSM_REGION_NAME': options.region,
            'INVOCATION_ID': uuid.uuid4().hex,
            'JOURNAL_STREAM': f'9:{os.getpid() + 100_000}',
            'LANG': 'C.UTF-8',
            'PATH': PATH,
            'SYSTEMD_EXEC_PID': str(os.getpid()),
            'USER': 'root',
        }

    def of(self, document):
        return {**self.fixed, 'SSM_COMMAND_ID': document.id}


class Agent:
    def __init__(self, options):
        self.options = options
        self.hub = Hub(options)
        self.store = documents.Store(options.instance)
        self.platform = read_platform()
        self.environment = Environment(options, self.platform)
        self.metadata = metadata.Metadata(options, self.read_credentials)
        self.changed = threading.Condition()
        self.documents = collections.OrderedDict()
        self.waiting = collections.deque()
        self.reboots = 0

    def main(self):
        # Blocked in every thread and so in the workers at birth, who unblock it when they can handle it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        self.metadata.serve()
        self.resume()
        for _ in range(WORKERS):
            threading.Thread(target=self.work, daemon=True).start()
        self.register()
        while True:
            self.poll()

    def resume(self):
        """Takes up what was going on when the agent ended: running commands before waiting ones."""
        for document in sorted(self.store.load(), key=lambda document: document.phase == 'queued'):
            self.enqueue(document)

    def register(self):
        registration = {
            'agentVersion': AGENT_VERSION,
            'platform': self.platform,
            'address': self.metadata.local_address(),
            'hostname': os.uname().nodename,
        }
        answer = self.hub.insist('/register', registration)
        self.metadata.learn(answer)

    def read_credentials(self):
        return self.hub.call('/credentials')['credentials']

    def poll(self):
        try:
            messages = self.hub.call('/poll', timeout=POLL_SECONDS)['messages']
        except Unanswered as failed:
            log(f'no answer to a poll: {failed}')
            time.sleep(RETRY_SECONDS)
            return self.register()
        for message in messages:
            self.take(message)

    def take(self, message):
        """A message that comes a second time, because its acknowledgement was lost, is only acknowledged again."""
        if message['kind'] == 'cancel':
            self.reply(message, 'InProgress')
            self.acknowledge(message)
            return self.cancel(message['commandId'])
        if message['commandId'] in self.documents:
            return self.acknowledge(message)
        try:
            given = self.resolve(message['parameters'])
        except parameters.InvalidDocument as invalid:
            # Refused without an acknowledgement, as the real agent does: the end of the document stands for it.
            return self.reply(message, 'Failed', traceOutput=str(invalid))
        document = documents.Document.received(message, given)
        self.store.save(document)
        self.reply(message, 'InProgress')
        self.acknowledge(message)
        self.enqueue(document)

    def resolve(self, given):
        names = parameters.stored_names(given)
        return parameters.checked(given, self.hub.insist('/parameters', {'names': names})['values'] if names else {})

    def enqueue(self, document):
        with self.changed:
            self.documents[document.id] = document
            self.waiting.append(document)
            self.changed.notify()

    def work(self):
        while True:
            document = self.next()
            try:
                self.carry_out(document)
            except Exception:
                traceback.print_exc()

    def next(self):
        with self.changed:
            self.changed.wait_for(lambda: self.waiting and (self.reboots == 0 or self.waiting[0].phase != 'queued'))
            return self.waiting.popleft()

    def cancel(self, command):
        """A waiting command is dropped without a word, as the real agent does; of a finished one nothing is known."""
        with self.changed:
            document = self.documents.get(command)
            if not document:
                return
            document.cancelled = True
            if document in self.waiting:
                self.waiting.remove(document)
                return self.store.forget(document)
            documents.stop_worker(document)

    def carry_out(self, document):
        """From wherever the document stands to its end."""
        if document.phase == 'rebooting':
            self.report_end(document)
        while True:
            result = self.result_of(document)
            self.report(document, 'InProgress', result)
            if result['status'] != 'SuccessAndReboot':
                break
            self.reboot(document, result)
        document.state['plugin'] = result
        self.report_end(document)
        self.store.forget(document)

    def reboot(self, document, result):
        with self.changed:
            self.reboots += 1
        self.store.save(document, phase='rebooting', earlier=result['raw'], plugin=result)
        self.report_end(document)
        time.sleep(self.options.reboot_seconds)
        self.report_end(document)
        with self.changed:
            self.reboots -= 1
            self.changed.notify_all()

    def result_of(self, document):
        if document.phase != 'running':
            refused = self.start(document)
            if refused:
                return refused
        path = self.store.result(document)
        while not os.path.exists(path):
            if not documents.is_running(document) and not os.path.exists(path):
                return script.failed_result(
                    'document process failed unexpectedly: document worker exited, '
                    'check [ssm-document-worker]/[ssm-session-worker] log for crash reason'
                )
            time.sleep(LOOK_SECONDS)
        return documents.read_json(path)

    def start(self, document):
        """Starts the worker; gives a result only where the parameters are none that the plugin can read."""
        given = document.state['parameters']
        commands = given.get('commands', [])
        if not isinstance(commands, list):
            return script.failed_result(parameters.unreadable(given))
        documents.remove(self.store.result(document))
        script.save(self.store.job(document), {
            'directory': self.store.script_directory(document),
            'commands': commands,
            'workingDirectory': parameters.working_directory(given.get('workingDirectory', '')),
            'timeoutSeconds': parameters.timeout_seconds(given.get('executionTimeout', '')),
            'environment': self.environment.of(document),
            'earlier': document.state['earlier'],
            'result': self.store.result(document),
        })
        with self.changed:
            self.store.save(document, phase='running', worker=self.spawn(document))
            if document.cancelled:
                documents.stop_worker(document)
        return None

    def spawn(self, document):
        """The worker's command line is the real one's: Python takes the command id as its script's name."""
        link = os.path.join(self.store.workers, document.id)
        if not os.path.islink(link):
            os.symlink(os.path.abspath(script.__file__), link)
        process = subprocess.Popen(
            [documents.WORKER_NAME, document.id],
            executable=sys.executable,
            cwd=self.store.workers,
            env={'LAB_JOB': self.store.job(document), 'PYTHONDONTWRITEBYTECODE': '1', 'PATH': PATH, 'LANG': 'C.UTF-8'},
            stdin=subprocess.DEVNULL,
        )
        threading.Thread(target=process.wait, daemon=True).start()
        return process.pid

    def report_end(self, document):
        self.report(document, document.state['plugin']['status'], document.state['plugin'])

    def report(self, document, status, result):
        self.reply(document.state, status, plugin={key: value for key, value in result.items() if key != 'raw'})

    def reply(self, message, status, **more):
        identity = {'messageId': message['messageId'], 'commandId': message['commandId']}
        self.hub.insist('/reply', {**identity, 'documentStatus': status, **more})

    def acknowledge(self, message):
        self.hub.insist('/acknowledge', {'messageId': message['messageId']})


def read_platform():
    values = {}
    with open('/etc/os-release', encoding='utf-8') as file:
        for line in file:
            key, _, value = line.strip().partition('=')
            values[key] = value.strip('"')
    return {'type': 'Linux', 'name': values.get('NAME', 'Linux'), 'version': values.get('VERSION_ID', '')}


def log(line):
    print(f'{script.iso(time.time())} {line}', file=sys.stderr, flush=True)


def read_options():
    parser = argparse.ArgumentParser(description='SSM agent of a lab host')
    for name in ('server', 'instance', 'token', 'region', 'account'):
        parser.add_argument(f'--{name}', required=True)
    parser.add_argument('--reboot-seconds', type=float, default=REBOOT_SECONDS)
    return parser.parse_args()


if __name__ == '__main__':
    Agent(read_options()).main()
