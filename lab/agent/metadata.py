"""IMDSv2 of a lab's host: http://169.254.169.254 on its own loopback, for the AWS CLI, the SDKs and scripts.

As on EC2 with HttpTokens=required: a token by PUT with a lifetime, and 401 for every GET without a living one. The
role's credentials come from the hub and are renewed before they end. There is no hop limit: containers reach it too.
"""

import datetime
import http.server
import json
import secrets
import socket
import subprocess
import threading
import time
import urllib.parse

ADDRESS = '169.254.169.254'
PORT = 80
# The longest lifetime that EC2 gives a token.
LONGEST_TOKEN_SECONDS = 21_600
# The SDKs renew credentials that end within 5 to 15 minutes; EC2 has new ones ready by then.
RENEW_SECONDS = 900
TOKEN_PATH = '/latest/api/token'
TOKEN_HEADER = 'X-aws-ec2-metadata-token'
LIFETIME_HEADER = 'X-aws-ec2-metadata-token-ttl-seconds'


class Metadata:
    """What the service tells about the instance. `read_credentials` asks the hub and may raise."""

    def __init__(self, options, read_credentials):
        self.instance = options.instance
        self.region = options.region
        self.account = options.account
        self.server = urllib.parse.urlsplit(options.server).hostname
        self.read_credentials = read_credentials
        self.about = {}
        self.held = None
        self.started = now()
        self.tokens = {}
        self.address = '127.0.0.1'

    def learn(self, registration):
        """Keeps the hub's answer to a registration: `instance` {zone, type, image, architecture}, `credentials`."""
        self.about = registration.get('instance') or {}
        self.held = registration.get('credentials')

    def credentials(self):
        if self.held is None or self.held['expiresAt'] / 1000 - time.time() < RENEW_SECONDS:
            try:
                self.held = self.read_credentials()
            except Exception:
                if self.held is None:
                    return None
        return self.held

    def local_address(self):
        """The address from which this host reaches the hub, so its own on the lab's network. The last one when offline."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((self.server, 9))
                self.address = probe.getsockname()[0]
            except OSError:
                pass
        return self.address

    def zone(self):
        return self.about.get('zone', f'{self.region}a')

    def values(self):
        """Every leaf under /latest; a value is text or a function that gives it."""
        address = self.local_address()
        hostname = f'ip-{address.replace(".", "-")}.{self.region}.compute.internal'
        credentials = self.credentials()
        leaves = {
            'meta-data/ami-id': self.about.get('image', ''),
            'meta-data/hostname': hostname,
            'meta-data/instance-id': self.instance,
            'meta-data/instance-type': self.about.get('type', 't3.micro'),
            'meta-data/local-hostname': hostname,
            'meta-data/local-ipv4': address,
            'meta-data/placement/availability-zone': self.zone(),
            'meta-data/placement/region': self.region,
            'meta-data/services/domain': 'amazonaws.com',
            'dynamic/instance-identity/document': self.identity_document(address),
        }
        if credentials:
            leaves['meta-data/iam/info'] = self.iam_info(credentials)
            leaves[f'meta-data/iam/security-credentials/{credentials["role"]}'] = self.role_credentials(credentials)
        return leaves

    def identity_document(self, address):
        return pretty({
            'accountId': self.account,
            'architecture': self.about.get('architecture', 'x86_64'),
            'availabilityZone': self.zone(),
            'imageId': self.about.get('image', ''),
            'instanceId': self.instance,
            'instanceType': self.about.get('type', 't3.micro'),
            'pendingTime': self.started,
            'privateIp': address,
            'region': self.region,
            'version': '2017-09-30',
        })

    def iam_info(self, credentials):
        return pretty({
            'Code': 'Success',
            'LastUpdated': self.started,
            'InstanceProfileArn': f'arn:aws:iam::{self.account}:instance-profile/{credentials["role"]}',
            'InstanceProfileId': 'AIPALABLABLABLABLABLA',
        })

    def role_credentials(self, credentials):
        return pretty({
            'Code': 'Success',
            'LastUpdated': self.started,
            'Type': 'AWS-HMAC',
            'AccessKeyId': credentials['accessKeyId'],
            'SecretAccessKey': credentials['secretAccessKey'],
            'Token': credentials['sessionToken'],
            'Expiration': instant(credentials['expiresAt'] / 1000),
        })

    def read(self, path):
        """The text under a path of the tree, a listing where it is a directory, or None."""
        wanted = path.strip('/')
        leaves = self.values()
        if wanted in leaves:
            return leaves[wanted]
        prefix = f'{wanted}/' if wanted else ''
        below = [leaf[len(prefix):] for leaf in leaves if leaf.startswith(prefix)]
        names = {name.split('/')[0] + ('/' if '/' in name else '') for name in below}
        return '\n'.join(sorted(names)) if names else None

    def new_token(self, seconds):
        token = secrets.token_urlsafe(40)
        self.tokens = {known: end for known, end in self.tokens.items() if end > time.monotonic()}
        self.tokens[token] = time.monotonic() + seconds
        return token

    def is_valid(self, token):
        return self.tokens.get(token, 0) > time.monotonic()

    def serve(self):
        add_address()
        server = http.server.ThreadingHTTPServer((ADDRESS, PORT), handler(self))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()


def handler(metadata):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'
        server_version = 'EC2ws'
        sys_version = ''

        def do_PUT(self):
            lifetime = self.headers.get(LIFETIME_HEADER, '')
            if self.path != TOKEN_PATH:
                return self.answer(404)
            # A request that came through a proxy gets no token.
            if 'X-Forwarded-For' in self.headers:
                return self.answer(403)
            if not lifetime.isdecimal() or not 1 <= int(lifetime) <= LONGEST_TOKEN_SECONDS:
                return self.answer(400)
            return self.answer(200, metadata.new_token(int(lifetime)), {LIFETIME_HEADER: lifetime})

        def do_GET(self):
            if not metadata.is_valid(self.headers.get(TOKEN_HEADER, '')):
                return self.answer(401)
            path = self.path.split('?')[0]
            text = metadata.read(path[len('/latest'):]) if path.startswith('/latest/') else None
            return self.answer(404) if text is None else self.answer(200, text)

        def answer(self, status, text='', headers=None):
            body = text.encode()
            self.send_response(status)
            self.send_header('Content-Type', 'text/plain')
            self.send_header('Content-Length', str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def add_address():
    """Adding it a second time, after a restart of the agent, fails and changes nothing."""
    subprocess.run(['ip', 'addr', 'add', f'{ADDRESS}/32', 'dev', 'lo'], stderr=subprocess.DEVNULL, check=False)


def instant(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


def now():
    return instant(time.time())


def pretty(value):
    return json.dumps(value, indent=2)
