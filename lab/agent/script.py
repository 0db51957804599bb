"""Runs one script the way amazon-ssm-agent 3.3.0.0 runs AWS-RunShellScript, and works out what the agent reports.

Started by agent.py as a process of its own per command (the real agent's ssm-document-worker), so that a script
survives a restart of the agent. Its job is the JSON file named by LAB_JOB; it writes the plugin result to the job's
`result` path. SIGUSR1 cancels.

Job: directory (of the script), commands, workingDirectory, timeoutSeconds, environment, earlier {stdout, stderr}
(base64 of what runs before a reboot printed), result. Result: the reply's plugin fields, `raw` {stdout, stderr}
(base64).
"""

import base64
import json
import os
import resource
import select
import selectors
import signal
import subprocess
import time

# The agent keeps this much of each stream and of the merged output, in bytes (appconfig MaxStdoutLength and so on).
STREAM_LIMIT = 24_000
MERGED_LIMIT = 2_500
STREAM_SUFFIX = b'--output truncated--'
ERROR_TITLE = b'\n----------ERROR-------\n'
OUTPUT_CUT = b'\n---Output truncated---'
ERROR_CUT = b'\n---Error truncated----'

# The code that the agent itself gives a script that it killed on timeout or cancel.
STOPPED = 137
REBOOT = 194
# Codes that end a document: 168 as a success, 169 as a failure.
STEP_EXITS = {168: 'succeeded', 169: 'Failed'}
# A service of systemd 257 has this soft limit of open files; the agent passes it on.
OPEN_FILES = 1024

# As Go prints signals; others are `signal N`.
SIGNAL_NAMES = {
    1: 'hangup', 2: 'interrupt', 3: 'quit', 4: 'illegal instruction', 5: 'trace/breakpoint trap', 6: 'aborted',
    7: 'bus error', 8: 'floating point exception', 9: 'killed', 10: 'user defined signal 1', 11: 'segmentation fault',
    12: 'user defined signal 2', 13: 'broken pipe', 14: 'alarm clock', 15: 'terminated',
}


class Outcome:
    """How a script ended: exit code, the error that goes into stderr, whether it was cancelled."""

    def __init__(self, code, error=None, cancelled=False):
        self.code = code
        self.error = error
        self.cancelled = cancelled


def status_of(outcome):
    if outcome.code in (0, 168):
        return 'Success'
    if outcome.code == REBOOT:
        return 'SuccessAndReboot'
    if outcome.code == STOPPED:
        return 'Cancelled' if outcome.cancelled else 'TimedOut'
    return 'Failed'


def cut_stream(text):
    return text if len(text) < STREAM_LIMIT else text[: STREAM_LIMIT - len(STREAM_SUFFIX)] + STREAM_SUFFIX


def merge(stdout, stderr):
    """iohandler.TruncateOutput: both streams in 2,500 bytes."""
    title = ERROR_TITLE if stderr else b''
    space = MERGED_LIMIT - len(title)
    if len(stdout) + len(stderr) < space:
        return stdout + title + stderr
    half = space // 2
    if len(stdout) > half and len(stderr) > half:
        each = (space - len(OUTPUT_CUT) - len(ERROR_CUT)) // 2
        return stdout[:each] + OUTPUT_CUT + title + stderr[:each] + ERROR_CUT
    if len(stdout) <= half:
        return stdout + title + stderr[: space - len(ERROR_CUT) - len(stdout)] + ERROR_CUT
    return stdout[: space - len(OUTPUT_CUT) - len(stderr)] + OUTPUT_CUT + title + stderr


def as_go_json(text):
    """Go writes each byte that is no UTF-8 as one U+FFFD, where Python would take a broken sequence as one."""
    decoded, rest = '', text
    while True:
        try:
            return decoded + rest.decode('utf-8')
        except UnicodeDecodeError as broken:
            decoded += rest[: broken.start].decode('utf-8') + '\ufffd'
            rest = rest[broken.start + 1 :]


def plugin_result(outcome, stdout, stderr, started, ended):
    """The plugin's part of a reply, from what the script printed (bytes) and how it ended."""
    status = status_of(outcome)
    if outcome.code == 168:
        stderr = b''
    elif outcome.error and status == 'Failed':
        stderr += f'failed to run commands: {outcome.error}'.encode()
    merged = merge(stdout, stderr)
    if outcome.code in STEP_EXITS:
        marking = f'marking step as {STEP_EXITS[outcome.code]}'
        note = f'\nStep exited with code {outcome.code}. Therefore, {marking}. Further document steps will be skipped.'
        stdout += note.encode()
        stderr += note.encode() if status == 'Failed' else b''
    return {
        'status': status,
        'code': outcome.code,
        'standardOutput': as_go_json(cut_stream(stdout)),
        'standardError': as_go_json(cut_stream(stderr)),
        'output': as_go_json(merged),
        'startDateTime': iso(started),
        'endDateTime': iso(ended),
    }


def failed_result(message):
    """A plugin that could not run at all."""
    now = time.time()
    text = message.encode('utf-8', 'surrogatepass')
    result = plugin_result(Outcome(1), b'', text, now, now)
    return {**result, 'raw': {'stdout': '', 'stderr': ''}}


def iso(seconds):
    whole = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))
    return f'{whole}.{int(seconds * 1000) % 1000:03d}Z'


class Stream:
    """One pipe of the script: its reading end, and the first bytes that came out of it."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.kept = b''
        os.set_blocking(descriptor, False)

    def read(self):
        """Takes what is there now. False when every writer has closed."""
        try:
            data = os.read(self.descriptor, 65_536)
        except BlockingIOError:
            return True
        if len(self.kept) < STREAM_LIMIT:
            self.kept = (self.kept + data)[:STREAM_LIMIT]
        return bool(data)


class Cancel:
    """SIGUSR1 as something a selector can wait for."""

    def __init__(self):
        self.requested = False
        self.reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        signal.signal(signal.SIGUSR1, self.request)
        # The agent starts the worker with the signal blocked, so that one that comes early waits for the handler.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})

    def request(self, *_):
        self.requested = True


def write_script(directory, commands):
    os.umask(0o077)
    os.makedirs(directory, exist_ok=True)
    os.umask(0o022)
    path = os.path.join(directory, '_script.sh')
    text = '\n'.join(commands) + '\n'
    with open(path, 'wb') as file:
        file.write(text.encode('utf-8', 'surrogatepass'))
    os.chmod(path, 0o700)
    return path


def start(path, working_directory, environment):
    return subprocess.Popen(
        ['sh', '-c', path],
        executable='/usr/bin/sh',
        cwd=working_directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )


def run(path, working_directory, environment, timeout_seconds, cancel):
    """Runs the script to its end, its timeout or its cancellation. Gives the outcome and both streams."""
    try:
        process = start(path, working_directory, environment)
    except OSError as refused:
        return Outcome(1, f'fork/exec /usr/bin/sh: {go_text(refused)}'), b'', b''
    streams = [Stream(process.stdout.fileno()), Stream(process.stderr.fileno())]
    outcome = wait(process, streams, time.monotonic() + timeout_seconds, cancel)
    return outcome, streams[0].kept, streams[1].kept


def go_text(error):
    return os.strerror(error.errno).lower()


def wait(process, streams, deadline, cancel):
    """Like Go's Wait, over when the script has ended and nothing holds its pipes any more, children included."""
    ended = os.pidfd_open(process.pid)
    selector = selectors.DefaultSelector()
    for source, data in [(ended, 'ended'), (cancel.reading, 'cancel'), *((s.descriptor, s) for s in streams)]:
        selector.register(source, selectors.EVENT_READ, data)
    status, open_streams = None, len(streams)
    while status is None or open_streams:
        remaining = deadline - time.monotonic()
        if cancel.requested or remaining <= 0:
            drain(streams)
            return stop(process, cancel.requested)
        for key, _ in selector.select(remaining):
            if key.data == 'ended':
                # Reaped at once: a group without a living member is "no such process" when the timeout comes.
                status = os.waitpid(process.pid, 0)[1]
                selector.unregister(ended)
            elif isinstance(key.data, Stream) and not key.data.read():
                selector.unregister(key.fd)
                open_streams -= 1
    return ended_with(status)


def drain(streams):
    for stream in streams:
        while select.select([stream.descriptor], [], [], 0)[0] and len(stream.kept) < STREAM_LIMIT and stream.read():
            pass


def stop(process, cancelled):
    """SIGKILL to the group. What the script started with setsid is not in it and lives on."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return Outcome(1, 'no such process', cancelled)
    return Outcome(STOPPED, None, cancelled)


def ended_with(status):
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        dumped = ' (core dumped)' if os.WCOREDUMP(status) else ''
        return Outcome(-1, f'signal: {SIGNAL_NAMES.get(number, f"signal {number}")}{dumped}')
    code = os.WEXITSTATUS(status)
    return Outcome(code, f'exit status {code}' if code else None)


def prepare_process():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard) if hard >= 0 else OPEN_FILES, hard))
    # A shell that puts the agent into the background makes it ignore these, and its children would inherit that.
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def save(path, value):
    """Writes a file that is either there as a whole or not at all."""
    with open(f'{path}.new', 'w', encoding='utf-8') as file:
        json.dump(value, file)
    os.replace(f'{path}.new', path)


def main():
    cancel = Cancel()
    prepare_process()
    with open(os.environ['LAB_JOB'], encoding='utf-8') as file:
        job = json.load(file)
    earlier = {name: base64.b64decode(job['earlier'][name]) for name in ('stdout', 'stderr')}
    started = time.time()
    path = write_script(job['directory'], job['commands'])
    outcome, stdout, stderr = run(path, job['workingDirectory'], job['environment'], job['timeoutSeconds'], cancel)
    raw = {'stdout': earlier['stdout'] + stdout, 'stderr': earlier['stderr'] + stderr}
    result = plugin_result(outcome, raw['stdout'], raw['stderr'], started, time.time())
    kept = {name: base64.b64encode(text[:STREAM_LIMIT]).decode() for name, text in raw.items()}
    save(job['result'], {**result, 'raw': kept})


if __name__ == '__main__':
    main()
